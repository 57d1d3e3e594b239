"""What is wrong with the templates for Rust, and what is right."""

from policy_server.clients.templates import Mend

API, MODEL = "reqwest/api.mustache", "model.mustache"

OPEN, END = "{{^vendorExtensions.x-closed}}", "{{/vendorExtensions.x-closed}}"
STRUCT = (
    "{{#oneOf.isEmpty}}#[derive(Clone, Default, Debug, PartialEq, Serialize, Deserialize)]\n"
    "pub struct {{{classname}}} {\n"
)
CLOSED = "{{#vendorExtensions.x-closed}}\n#[serde(deny_unknown_fields)]\n" + END + "\n"
TYPE = "{{^returnType}}(){{/returnType}}{{{returnType}}}"
JSON = "            ContentType::Json => serde_json::from_str(&content).map_err(Error::from),\n"
ANSWER = "Ok(Answer::new(headers, serde_json::from_str(&content)?))"

RUST_MENDS = (
    # A misspelt field that need not be there would not be missed, nor a required one that was
    # forgotten: it would be 0.
    Mend(
        MODEL,
        STRUCT,
        STRUCT.replace("pub struct", f"{CLOSED}pub struct").replace(
            "Default, ", f"{OPEN}Default, {END}"
        ),
    ),
    Mend(API, "use super::{Error,", "use crate::connect::Answer;\nuse super::{Error,"),
    # Which version decided is said by a header of the answer.
    Mend(API, TYPE, f"Answer<{TYPE}>", 2),
    Mend(
        API,
        "    let status = resp.status();\n",
        "    let status = resp.status();\n    let headers = resp.headers().clone();\n",
    ),
    Mend(API, "        Ok(())\n", "        Ok(Answer::new(headers, ()))\n"),
    Mend(API, JSON, f"            ContentType::Json => {ANSWER},\n"),
    Mend(API, "return Ok(content),", "Ok(Answer::new(headers, content)),"),
    # A redirect, which is not followed, is no answer.
    Mend(
        API,
        "if !status.is_client_error() && !status.is_server_error() {",
        "if status.is_success() {",
    ),
)
