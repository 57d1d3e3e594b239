"""The operations of the API: path, role, body and time of each; and the headers of all of them.

Each of these is written here and nowhere else. The template of the specification
(`swagger.template.yaml`) adds what only people read; security, limits, handlers, the fast path, the
front-end and the SDKs look things up here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType
from urllib.parse import quote

JSON, ZIP, TEXT = "application/json", "application/zip", "text/plain"
ARCHIVE = "application/octet-stream"
"""Of a version, signed; no program knows its type."""

BASE_PATH = "/api"
"""What the paths of the operations begin with."""

VERSION_HEADER = "X-Policy-Version"
"""Of an answer: the version that decided. Of a request: the version that must decide."""
TIMEOUT_HEADER = "X-Request-Timeout"
"""Seconds after which a decision is of no use."""
REQUEST_ID_HEADER = "X-Request-Id"
"""Name of a request, in its answer and in the log."""
KEY_HEADER = "X-API-Key"
"""An API key."""
CERTIFICATE_HEADER = "X-Client-Certificate-Subject"
"""Subject of the client's certificate, from a proxy that has verified it."""
PREFER_HEADER, PREFERRED = "Prefer", "respond-async"
"""How a client says that it would rather ask for a build than wait for it (RFC 7240)."""
SCHEMA_HEADER = "X-Schema-Hash"
"""Hash of the schema that an SDK was made for."""
NEWER_HEADER = "X-Newer-Client"
"""Of an answer to an SDK of an older schema: the version of the package that there is now."""
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "version": VERSION_HEADER,
        "timeout": TIMEOUT_HEADER,
        "request_id": REQUEST_ID_HEADER,
        "key": KEY_HEADER,
        "certificate": CERTIFICATE_HEADER,
        "schema": SCHEMA_HEADER,
        "newer": NEWER_HEADER,
        "prefer": PREFER_HEADER,
    }
)
"""As templates call them."""

MAX_BATCH_ITEMS = 10_000
"""Observations, or steps, in one request."""
MAX_RAW_ITEMS = 1_000_000
"""Numbers of one input vector."""
MAX_SEED = 2**53 - 1
"""The largest whole number that every client can write: JavaScript has none beyond."""
MAX_AUDIT_ENTRIES = 1_000
"""Entries of the audit log in one answer."""
TIMEOUT_PATTERN = r"[0-9]{1,6}([.][0-9]{1,9})?"
"""How TIMEOUT_HEADER is written."""
ANSWER_SECONDS = 30.0
"""How long a client waits for an operation that answers from memory."""
BUILD_SECONDS = 4_200.0
"""How long an operation may take that builds, loads or replays a version, or makes SDKs."""


class Role(IntEnum):
    """What a client may do; a higher role includes the lower ones."""

    NONE = 0
    PREDICT = 1
    MANAGE = 2


class Body(Enum):
    """What the body of a request holds."""

    NONE = "nothing"
    OBSERVATION = "one observation"
    BATCH = "observations"
    STEP = "a step of an episode"
    STEPS = "steps of episodes"
    FEATURES = "the network's own input vector"
    FILES = "parts of a version"

    @property
    def is_step(self) -> bool:
        """Episodes go on with it."""
        return self in (Body.STEP, Body.STEPS)

    @property
    def media_type(self) -> str:
        """As `consumes` of the specification has it; empty where there is no body."""
        if self is Body.NONE:
            return ""
        return "multipart/form-data" if self is Body.FILES else JSON


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        id: The operationId, which is the name of its handler in `api.py`.
        method: Of HTTP, in lower case as in the specification.
        path: Below the base path; `{name}` is a parameter.
        role: The least that its client must have.
        body: What its requests hold.
        seeded: The query parameter `seed` makes its draws repeatable.
        has_mode: The query parameter `deterministic` takes the most probable actions instead.
        seconds: How long it may take.
        audited: What is asked, by whom, and what came of it goes to the audit log.
        answer: Type of what is answered where all went well; empty where that has no body.
        deferred: Answered at once, where the client prefers that, with a build to ask for.
    """

    id: str
    method: str
    path: str
    role: Role = Role.NONE
    body: Body = Body.NONE
    seeded: bool = False
    has_mode: bool = False
    seconds: float = ANSWER_SECONDS
    audited: bool = False
    answer: str = JSON
    deferred: bool = False

    def permits(self, role: Role) -> bool:
        """Whether a client of that role may ask it."""
        return role >= self.role

    def path_with(self, **parameters: str) -> str:
        """The path with its parameters filled in."""
        return self.path.format(**{name: quote(value, "") for name, value in parameters.items()})


def _predicts(name: str, body: Body, *, seeded: bool = False, has_mode: bool = False) -> Operation:
    return Operation(name, "post", f"/{name}", Role.PREDICT, body, seeded, has_mode)


def _manages(name: str, path: str, body: Body, *, changes: bool = True) -> Operation:
    return Operation(
        name, "post", path, Role.MANAGE, body, seconds=BUILD_SECONDS, audited=changes, deferred=True
    )


def _hands_out_clients(name: str, path: str) -> Operation:
    return Operation(name, "get", path, Role.PREDICT, seconds=BUILD_SECONDS, answer=ZIP)


_ALL = (
    _predicts("predict", Body.OBSERVATION, seeded=True),
    _predicts("predict_deterministic", Body.OBSERVATION),
    _predicts("distribution", Body.OBSERVATION),
    _predicts("predict_batch", Body.BATCH, seeded=True, has_mode=True),
    _predicts("distribution_batch", Body.BATCH),
    _predicts("predict_raw", Body.FEATURES, seeded=True),
    _predicts("step", Body.STEP, seeded=True, has_mode=True),
    _predicts("step_batch", Body.STEPS, seeded=True, has_mode=True),
    _manages("upload_policy", "/policy", Body.FILES),
    _manages("upload_model", "/model", Body.FILES),
    _manages("upload_preprocessor", "/preprocessor", Body.FILES),
    _manages("upload_output_mapper", "/outputmapper", Body.FILES),
    Operation("versions", "get", "/versions", Role.MANAGE),
    Operation(
        "delete_version", "delete", "/versions/{version}", Role.MANAGE, audited=True, answer=""
    ),
    _manages("activate_version", "/versions/{version}/activate", Body.NONE),
    _manages("verify_version", "/versions/{version}/verify", Body.NONE, changes=False),
    Operation(
        "version_archive",
        "get",
        "/versions/{version}/archive",
        Role.MANAGE,
        seconds=BUILD_SECONDS,
        answer=ARCHIVE,
    ),
    Operation(
        "version_edge",
        "get",
        "/versions/{version}/edge",
        Role.MANAGE,
        seconds=BUILD_SECONDS,
        answer=ZIP,
    ),
    _manages("upload_archive", "/archive", Body.FILES),
    Operation(
        "predict_batch_with_version",
        "post",
        "/versions/{version}/predict_batch",
        Role.MANAGE,
        Body.BATCH,
        seeded=True,
        has_mode=True,
        seconds=BUILD_SECONDS,
    ),
    Operation("builds", "get", "/builds", Role.MANAGE),
    Operation("build", "get", "/builds/{build}", Role.MANAGE),
    Operation("build_answer", "get", "/builds/{build}/answer", Role.MANAGE),
    Operation("policies", "get", "/policies", Role.MANAGE),
    Operation("create_policy", "put", "/policies/{policy}", Role.MANAGE, Body.FILES, audited=True),
    Operation(
        "delete_policy", "delete", "/policies/{policy}", Role.MANAGE, audited=True, answer=""
    ),
    Operation("audit", "get", "/audit", Role.MANAGE),
    Operation("schema", "get", "/schema", Role.PREDICT, answer=TEXT),
    _hands_out_clients("clients", "/clients"),
    _hands_out_clients("clients_of_language", "/clients/{language}"),
    Operation("health_live", "get", "/health/live"),
    Operation("health_ready", "get", "/health/ready"),
)
OPERATIONS: Mapping[str, Operation] = MappingProxyType({each.id: each for each in _ALL})
"""Every operation, by its id."""


def methods_at(path: str) -> set[str]:
    """The methods of all operations at a path below the base path, as HTTP writes them."""
    return {each.method.upper() for each in _ALL if _parts_fit(each.path, path)}


def _parts_fit(template: str, path: str) -> bool:
    wanted, given = template.split("/"), path.split("/")
    pairs = zip(wanted, given, strict=False)
    return len(wanted) == len(given) and all(w == g or w.startswith("{") for w, g in pairs)


def wire_name(header: str) -> bytes:
    """The name of a header as ASGI has it."""
    return header.lower().encode("ascii")
