"""What is wrong with the templates for Python and Java, and what is right.

Definitions that take no other properties are marked `x-closed` in the specification of the SDKs.
Their readers left out what they did not know, so that a misspelt field that need not be there was
never missed, and the policy decided on something else than was meant.
"""

from policy_server.clients.templates import Mend

BEGIN, END = "{{#vendorExtensions.x-closed}}", "{{/vendorExtensions.x-closed}}"
OPEN = "{{^vendorExtensions.x-closed}}"
PYTHON, JAVA = "model_generic.mustache", "pojo.mustache"

IMPORTED = "from pydantic_core import to_jsonable_python\n"
READ = "        {{#disallowAdditionalPropertiesIfNotPresent}}\n"
SAID = '''        """Create an instance of {{{classname}}} from a dict"""\n'''
PYTHON_TEXT = (
    "    def from_json(cls, json_str: str) -> Optional[{{^hasChildren}}Self{{/hasChildren}}"
    "{{#hasChildren}}{{#discriminator}}Union[{{#mappedModels}}{{{modelName}}}{{^-last}}, {{/-last}}"
    "{{/mappedModels}}]{{/discriminator}}{{^discriminator}}Self{{/discriminator}}"
    "{{/hasChildren}}]:\n"
)
PYTHON_NONE = (
    "    def from_dict(cls, obj: Optional[Dict[str, Any]]) -> Optional[Self]:\n"
    f"{SAID}        if obj is None:\n            return None\n\n"
)
"""Nothing is made of nothing: type checkers would ask at every use whether it was."""
PYTHON_MENDS = (
    Mend(
        PYTHON,
        IMPORTED,
        f"{IMPORTED}{BEGIN}\nfrom {{{{packageName}}}}.closed import Closed\n{END}\n",
    ),
    Mend(
        PYTHON,
        "{{^parent}}BaseModel{{/parent}}",
        f"{{{{^parent}}}}{BEGIN}Closed{END}{OPEN}BaseModel{END}{{{{/parent}}}}",
    ),
    Mend(
        PYTHON,
        READ,
        f"{BEGIN}\n        cls._refuse_unknown(obj, cls.__properties)\n{END}\n{READ}",
    ),
    Mend(PYTHON, PYTHON_TEXT, "    def from_json(cls, json_str: str) -> Self:\n"),
    Mend(PYTHON, PYTHON_NONE, "    def from_dict(cls, obj: Dict[str, Any]) -> Self:\n" + SAID),
)

FIELDS = "{{#serializableModel}}\n  private static final long serialVersionUID = 1L;\n"
REFUSED = f"""\
  {BEGIN}
  @com.fasterxml.jackson.annotation.JsonAnySetter
  private void refuseUnknown(String name, Object value) {{
    throw new IllegalArgumentException("{{{{classname}}}} has no field `" + name + "`; it has:"
  {{{{#vars}}}}
        + " {{{{baseName}}}}{{{{^-last}}}},{{{{/-last}}}}"
  {{{{/vars}}}}
    );
  }}

  {END}
"""
CLOSED_JAVA_MENDS = (Mend(JAVA, FIELDS, REFUSED + FIELDS),)
