"""What is wrong with the templates for R, and what is right.

The functions that they call stand in client.R.
"""

from policy_server.clients.templates import Mend

MODEL, API, CLIENT, RESPONSE = (
    "modelGeneric.mustache",
    "api.mustache",
    "libraries/httr2/api_client.mustache",
    "ApiResponse.mustache",
)
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
COLLECTION = """\
        if (c(inner_return_type) %in% primitive_types) {
          return_obj <- vector("list", length = length(obj))
          if (length(obj) > 0) {
            for (row in 1:length(obj)) {
              return_obj[[row]] <- self$deserializeObj(obj[row], inner_return_type, pkg_env)
            }
          }
        } else {
          if (is.list(obj) && length(obj) == 1 && is.data.frame(obj[[1]])) {
            obj <- obj[[1]]
          }
          if (!is.null(nrow(obj))) {
            return_obj <- vector("list", length = nrow(obj))
            if (nrow(obj) > 0) {
              for (row in 1:nrow(obj)) {
                return_obj[[row]] <- self$deserializeObj(obj[row, , drop = FALSE],
                                                         inner_return_type, pkg_env)
              }
            }
          }
        }
"""
COLLECTION_MENDED = """\
        if (c(inner_return_type) %in% primitive_types) {
          return_obj <- if (length(obj) == 0) list() else unlist(obj)
        } else {
          return_obj <- lapply(obj, function(item) {
            self$deserializeObj(item, inner_return_type, pkg_env)
          })
        }
"""
READ = "resp_obj <- jsonlite::fromJSON(raw_response)"
READ_MENDED = """\
# an answer that is a text is none of JSON
      resp_obj <- if (return_type == "character") raw_response else read_json(raw_response)"""
RETRY = """\
      # set retry
      if (!is.null(self$max_retry_attempts)) {
        req <- req %>% retry_max_tries(self$timeout)
        req <- req %>% retry_max_seconds(self$timeout)
      }

"""
PERFORM = """\
        resp <- req %>%
          req_error(is_error = function(resp) FALSE) %>%
          req_perform()
"""
PERFORM_MENDED = """\
        resp <- perform(req, self$retry_status_codes, self$max_retry_attempts)
        if (resp_status(resp) >= 300) {
          refuse(resp)
        }
"""
ANSWER = 'self$deserialize(text, return_type, loadNamespace("{{packageName}}"))'
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
    Mend(CLIENT, READ, READ_MENDED),
    Mend(CLIENT, COLLECTION, COLLECTION_MENDED),
    Mend(CLIENT, "jsonlite::toJSON(obj, digits = NA, auto_unbox = TRUE)", "obj"),
    # Functions that httr2 does not have; and answers that are errors were not raised as such.
    Mend(CLIENT, RETRY, ""),
    Mend(CLIENT, PERFORM, PERFORM_MENDED),
    Mend(CLIENT, ANSWER, f"with_version({ANSWER}, local_var_resp)"),
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
    # What the server says is UTF-8, whatever this machine's own encoding is.
    Mend(RESPONSE, 'from_encoding = ""', 'from_encoding = "UTF-8"'),
)
