"""What is wrong with the templates for C#, and what is right."""

import re

from policy_server.clients.templates import Mend

MODEL = "modelGeneric.mustache"

OPTIONAL = (
    "{{^required}}{{#isBoolean}}true{{/isBoolean}}{{^isBoolean}}{{#isNullable}}true{{/isNullable}}"
    "{{^isNullable}}false{{/isNullable}}{{/isBoolean}}{{/required}}"
)
NAME = "{{#lambda.camelcase_sanitize_param}}{{name}}{{/lambda.camelcase_sanitize_param}}"
NO_DEFAULT = "{{^defaultValue}}default{{/defaultValue}}{{^-last}}"

CSHARP_MENDS = (
    # One that is not given is not sent, instead of as null.
    Mend(MODEL, OPTIONAL, "{{^required}}false{{/required}}", 6),
    # A required field that is forgotten would be 0 or false: it does not compile.
    Mend(
        MODEL,
        f" {NAME} = {{{{#defaultValue}}}}",
        f" {NAME}{{{{^required}}}} = {{{{#defaultValue}}}}",
    ),
    Mend(MODEL, NO_DEFAULT, NO_DEFAULT.replace("{{^-last}}", "{{/required}}{{^-last}}")),
)

UNUSED = re.compile(r"^using (?:FileParameter|OpenAPIDateConverter) = .*;\n", re.MULTILINE)


def without_unused(text: str) -> str:
    """A model without the names of what is not kept of the generated client."""
    return UNUSED.sub("", text)
