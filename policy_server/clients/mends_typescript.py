"""What is wrong with the templates for TypeScript, and what is right.

The functions and classes that they name stand in closed.ts, answers.ts, errors.ts and sending.ts.
"""

from policy_server.clients.mends_closed import BEGIN, END, OPEN
from policy_server.clients.templates import Mend

MODEL, RUNTIME, API = "modelGeneric.mustache", "runtime.mustache", "apis.mustache"
FROM = "{{importFileExtension}}';\n"

IMPORTS = f"}} from '../runtime{FROM}"
IMPORTED = f"""\
{IMPORTS}{BEGIN}
import {{ refuseUnknown }} from '../closed{FROM}{END}
{OPEN}
import {{ requireFields }} from '../answers{FROM}{END}
"""
FROM_JSON = "    if (json == null) {\n        return json;\n    }\n"
TO_JSON = "    if (value == null) {\n        return value;\n    }\n"
NEEDED = "{{#vars}}{{#required}}'{{baseName}}', {{/required}}{{/vars}}"
REQUIRED = f"""\
    {OPEN}
    requireFields('{{{{classname}}}}', json, [{NEEDED}]);
    {END}
"""


def _refused(given: str, name: str) -> str:
    known = f"{{{{#vars}}}}'{{{{{name}}}}}'{{{{^-last}}}}, {{{{/-last}}}}{{{{/vars}}}}"
    return f"    {BEGIN}\n    refuseUnknown('{{{{classname}}}}', {given}, [{known}]);\n    {END}\n"


BEGINS = "export const BASE_PATH"
BEGUN = f"""\
import {{ readAnswer }} from './answers{FROM}\
import {{ ClientError, FetchError }} from './errors{FROM}
export {{ FetchError }};

/** What one call is told, as `fetch` is, and how long it may take, in milliseconds. */
export interface CallOptions extends RequestInit {{
    timeout?: number;
}}

/** What one call is told, over what all are: headers are added to those of all. */
function overridden(init: RequestInit, given: CallOptions | undefined): CallOptions {{
    const headers = new Headers(init.headers);
    new Headers(given?.headers).forEach((value, name) => headers.set(name, value));
    return {{ ...init, ...given, headers }};
}}

export const BASE_PATH"""
FETCH_ERROR = """\
export class FetchError extends Error {
    override name: "FetchError" = "FetchError";
    constructor(public cause: Error, msg?: string) {
        super(msg);

        // restore prototype chain
        const actualProto = new.target.prototype;
        if (Object.setPrototypeOf) {
            Object.setPrototypeOf(this, actualProto);
        }
    }
}

"""
ASKED = "await (this.configuration.fetchApi || fetch)(fetchParams.url, fetchParams.init)"
RAISED = "'The request failed and the interceptors did not return an alternative response'"
GIVEN = """\
            ...initParams,
            ...(await initOverrideFn({
                init: initParams,
                context,
            }))
        };
"""
ADDED = """\
            initParams,
            await initOverrideFn({ init: initParams, context }),
        );
"""
TYPESCRIPT_MENDS = (
    # Fields that are unknown were left out, and those that are missing not missed.
    Mend(MODEL, IMPORTS, IMPORTED),
    Mend(MODEL, FROM_JSON, FROM_JSON + _refused("json", "baseName") + REQUIRED),
    Mend(MODEL, TO_JSON, TO_JSON + _refused("value", "name")),
    # Errors were of many kinds.
    Mend(RUNTIME, BEGINS, BEGUN),
    Mend(RUNTIME, FETCH_ERROR, ""),
    Mend(RUNTIME, f"new FetchError(e, {RAISED})", f"new FetchError({RAISED}, e)"),
    Mend(RUNTIME, "extends Error {", "extends ClientError {", 2),
    Mend(
        RUNTIME,
        "return this.transformer(await this.raw.json());",
        "return readAnswer(this.raw, this.transformer);",
    ),
    # Types were those of a browser.
    Mend(
        RUNTIME, "WindowOrWorkerGlobalScope['fetch']", "(url: string, init?: any) => Promise<any>"
    ),
    Mend(RUNTIME, ASKED, f"(({ASKED}) as Response)"),
    Mend(
        RUNTIME, "credentials?: RequestCredentials;", "credentials?: RequestInit['credentials'];", 2
    ),
    Mend(RUNTIME, "): RequestCredentials |", "): RequestInit['credentials'] |"),
    # The headers of one call came instead of all others; and it had no time of its own.
    Mend(
        RUNTIME,
        "Init: RequestInit = {\n" + GIVEN,
        "Init: CallOptions = overridden(\n" + ADDED,
    ),
    Mend(RUNTIME, "initOverrides?: RequestInit |", "initOverrides?: CallOptions |", 2),
    Mend(
        RUNTIME,
        "context: RequestOpts }) => Promise<RequestInit>",
        "context: RequestOpts }) => Promise<CallOptions>",
    ),
    Mend(RUNTIME, "const init: RequestInit = {", "const init: CallOptions = {"),
    Mend(API, "initOverrides?: RequestInit |", "initOverrides?: runtime.CallOptions |", 12),
)
