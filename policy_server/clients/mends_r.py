"""What is wrong with the templates for R, and what is right.

The functions that they call stand in json.R and conditions.R.
"""

from policy_server.clients.templates import Mend

MODEL, API = "modelGeneric.mustache", "api.mustache"
SPELT = '[["{{{baseName}}}"]]'
IS_TEXT = (
    "function(x) stopifnot({{#isPrimitiveType}}is.character(x){{/isPrimitiveType}}"
    "{{^isPrimitiveType}}R6::is.R6(x){{/isPrimitiveType}}))\n"
)
ARRAY = """\
          {{#isArray}}
          {{#isPrimitiveType}}
          self$`{{name}}`
          {{/isPrimitiveType}}
          {{^isPrimitiveType}}
          self$extractSimpleType(self$`{{name}}`)
          {{/isPrimitiveType}}
          {{/isArray}}
"""
AS_ARRAY = 'as_json_array(self$`{{name}}`, "{{{dataType}}}")'
ARRAY_MENDED = f"""\
          {{{{#isArray}}}}
          {AS_ARRAY}
          {{{{/isArray}}}}
"""
FORM_FILE = 'file_params[["{{{baseName}}}"]] <- curl::form_file(`{{paramName}}`)'
MAKE_ONE = '"Operations are those of a client: see `?Client`."'
BEGIN, END = "{{#vendorExtensions.x-closed}}", "{{/vendorExtensions.x-closed}}"
CREATED = "additional_properties = NULL, {{/isAdditionalPropertiesTrue}}...) {\n"


def _refused(names: str, name: str) -> str:
    """A line for a definition that takes no other properties than its own."""
    known = f'c({{{{#vars}}}}"{{{{{{{name}}}}}}}"{{{{^-last}}}}, {{{{/-last}}}}{{{{/vars}}}})'
    return (
        f'      {BEGIN}\n      refuse_unknown({names}, {known}, "{{{{classname}}}}")\n      {END}\n'
    )


R_MENDS = (
    # Arrays of anything but texts were refused, and empty ones too.
    Mend(
        MODEL,
        "        stopifnot(is.vector(`{{name}}`), length(`{{name}}`) != 0)\n"
        "        sapply(`{{name}}`, " + IS_TEXT,
        "        stopifnot(is.vector(`{{name}}`) || is.array(`{{name}}`))\n",
        2,
    ),
    Mend(
        MODEL,
        "        stopifnot(is.vector(input_json$`{{name}}`), length(input_json$`{{name}}`) != 0)\n",
        "",
    ),
    Mend(MODEL, "        tmp <- sapply(input_json$`{{name}}`, " + IS_TEXT, ""),
    # Arrays of one item went out as that item.
    Mend(
        MODEL,
        ARRAY,
        ARRAY_MENDED,
    ),
    # `$` takes `lamp` where only `lamp_post` is there; and what is sent is called as the server
    # calls it, not as the code does.
    Mend(MODEL, "this_object$`{{baseName}}`", f"this_object{SPELT}", 12),
    Mend(MODEL, "this_object$`{{name}}`", f"this_object{SPELT}", 5),
    Mend(MODEL, "input_json$`{{name}}`", f"input_json{SPELT}", 30),
    Mend(MODEL, 'Object[["{{baseName}}"]]', f"Object{SPELT}"),
    # Numbers lost digits on their way, and lists became tables.
    Mend(
        MODEL,
        "jsonlite::toJSON(simple, auto_unbox = TRUE, digits = NA, ...)",
        "write_json(simple)",
    ),
    Mend(MODEL, "return(as.character(jsonlite::minify(json)))", "return(json)"),
    Mend(
        MODEL,
        "      this_object <- jsonlite::fromJSON(input_json)\n",
        "      this_object <- read_json(input_json)\n" + _refused("names(this_object)", "baseName"),
        2,
    ),
    Mend(
        MODEL,
        "      input_json <- jsonlite::fromJSON(input)\n",
        "      input_json <- read_json(input)\n" + _refused("names(input_json)", "baseName"),
    ),
    # Fields that are unknown were left out: a misspelt one was not missed.
    Mend(MODEL, CREATED, CREATED + _refused("given_names(parent.frame())", "name")),
    Mend(
        MODEL,
        f"jsonlite::toJSON(this_object{SPELT}, auto_unbox = TRUE, digits = NA)",
        f"this_object{SPELT}",
        2,
    ),
    # Checks of fields that are not there ended in an error of R's.
    Mend(
        MODEL,
        "      {{#hasValidation}}\n",
        "      {{#hasValidation}}\n      if (!is.null(self$`{{{name}}}`)) {\n",
        2,
    ),
    Mend(MODEL, "\n      {{/hasValidation}}\n", "      }\n\n      {{/hasValidation}}\n", 2),
    # The client that reads is ours.
    Mend(MODEL, "ApiClient$new()$deserializeObj(", "read_object(", 2),
    Mend(MODEL, ', loadNamespace("{{packageName}}"))', ")", 2),
    Mend(MODEL, "length for `{{{param}}}`", "length for `{{{name}}}`"),
    # Operations without a client sent no credentials.
    Mend(API, "self$api_client <- ApiClient$new()", f"stop({MAKE_ONE})"),
    # Errors lost their class; and files that may be left out had to be given.
    Mend(API, 'stop("Failed to deserialize response")', "stop(e)"),
    Mend(API, f"      {FORM_FILE}", f"      if (!is.null(`{{{{paramName}}}}`)) {FORM_FILE}"),
    # A parameter that may be left out may be NULL, which is how it is left out.
    Mend(
        API,
        "      {{^isNullable}}\n      if (!missing(",
        "      {{#required}}\n      {{^isNullable}}\n      if (!missing(",
    ),
    Mend(
        API,
        "      {{/isNullable}}\n      {{#maxLength}}",
        "      {{/isNullable}}\n      {{/required}}\n      {{#maxLength}}",
    ),
)
