"""Publishing to a server that runs, here or elsewhere."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
import requests
from requests.auth import AuthBase, HTTPBasicAuth

from policy_server.contract.operations import (
    BASE_PATH,
    OPERATIONS,
    PREFER_HEADER,
    PREFERRED,
    Operation,
)
from policy_server.contract.policy_names import path_of
from policy_server.errors import Fault, FaultsError, RequestFailed, UploadRejected
from policy_server.serving.builds import Build
from policy_server.serving.bundle import Bundle
from policy_server.serving.version_report import VersionReport

CONNECT_SECONDS = 10.0
UPLOAD, BUILD = OPERATIONS["upload_policy"], OPERATIONS["build"]
LIST, CREATE = OPERATIONS["policies"], OPERATIONS["create_policy"]
ASK_SECONDS = 0.5
"""Between two questions how far a build is."""
SILENCE_SECONDS = 60.0
"""A build goes on by itself; so long it may be that no request for it is answered."""
PASSING = (429, 502, 503, 504)
"""What proxies and servers say that are busy, or about to start."""
Answer = TypeVar("Answer")


class Bearer(AuthBase):
    """Sends a bearer token: that of an OpenID provider, or a key."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign one request."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def password_of(user: str, password: str) -> AuthBase:
    """Sends user and password, as UTF-8: requests would send Latin-1."""
    return HTTPBasicAuth(user.encode(), password.encode())


def publish_to(
    url: str,
    bundle: Bundle,
    credentials: AuthBase,
    progress: Callable[[str], None] = lambda _: None,
) -> VersionReport:
    """Publish a bundle to a running server.

    It is asked to answer at once and build behind that, so that no proxy in between has to wait
    for the build. A server that does not know this answers when the build is done.

    Args:
        url: Where the server is; with or without `/api`.
        bundle: What it is to build, prove and activate.
        credentials: Of somebody who may replace the policy.
        progress: Told what the server does, a few words at a time.

    Raises:
        UploadRejected: The server refused the bundle; nothing was changed.
        RequestFailed: It cannot be reached, or refused the credentials.
    """
    files: dict[str, Any] = {f"{part}_file": (part, file) for part, file in bundle.parts.items()}
    if bundle.schema is not None:
        files["schema_file"] = ("schema.yaml", bundle.schema)
    return uploaded(url, UPLOAD, files, credentials, progress)


def api_of(url: str) -> str:
    """Where the API of a server begins; `url` is with or without `/api`."""
    return f"{url.rstrip('/').removesuffix(BASE_PATH)}{BASE_PATH}"


def uploaded(
    url: str,
    operation: Operation,
    files: Mapping[str, Any],
    credentials: AuthBase,
    progress: Callable[[str], None],
    parameters: Mapping[str, str] | None = None,
) -> VersionReport:
    """What comes of an upload; as `publish_to`.

    Args:
        url: Where the server is; with or without `/api`.
        operation: That takes the files.
        files: By the names of their fields, as requests takes them.
        credentials: Of somebody who may upload.
        progress: Told what the server does, a few words at a time.
        parameters: Of the query.
    """
    base = api_of(url)
    address = f"{base}{operation.path}"
    with requests.Session() as session:
        session.auth = credentials
        response = asked(
            session.post,
            address,
            files=files,
            params=parameters,
            headers={PREFER_HEADER: PREFERRED},
            timeout=(CONNECT_SECONDS, operation.seconds),
        )
        if response.status_code == requests.codes.accepted:
            return _awaited(session, base, _build(response, address), progress)
    if response.status_code == requests.codes.ok:
        return _report(response, address)
    raise refusal(response, address)


def made(url: str, policy: str, schema: bytes | None, credentials: AuthBase) -> str:
    """See to it that a running server has a policy of this name.

    Args:
        url: Where the server is; with or without `/api`.
        policy: Its name.
        schema: What it is made of where there is none; None where it must be there.
        credentials: Of somebody who may make policies.

    Returns:
        Where the policy is.

    Raises:
        UploadRejected: None can be made of that.
        RequestFailed: The server cannot be reached, or refused the credentials.
    """
    root = url.rstrip("/").removesuffix(BASE_PATH)
    below = f"{root}{path_of(policy)}"
    address = f"{root}{BASE_PATH}{CREATE.path_with(policy=policy)}"
    waits = (CONNECT_SECONDS, CREATE.seconds)
    listed = asked(requests.get, f"{root}{BASE_PATH}{LIST.path}", auth=credentials, timeout=waits)
    if listed.status_code != requests.codes.ok:
        raise refusal(listed, address)
    if any(each["policy"] == policy for each in listed.json()["policies"]):
        return below
    if schema is None:
        raise UploadRejected(
            f"{root} has no policy {policy}, and the folder no schema.yaml to make it of."
        )
    files = {"schema_file": ("schema.yaml", schema)}
    answer = asked(requests.put, address, files=files, auth=credentials, timeout=waits)
    if answer.status_code != requests.codes.ok:
        raise refusal(answer, address)
    return below


def asked(
    method: Callable[..., requests.Response], address: str, **options: Any
) -> requests.Response:
    """The answer of a server.

    Raises:
        RequestFailed: There is none.
    """
    try:
        # A form that was sent on would be another request.
        return method(address, allow_redirects=False, **options)
    except requests.RequestException as error:
        raise RequestFailed(f"{address} cannot be reached: {error}") from error


def _awaited(
    session: requests.Session, base: str, build: Build, progress: Callable[[str], None]
) -> VersionReport:
    """What comes of a build; a proxy in between may fail for a while."""
    address = f"{base}{BUILD.path_with(build=build.build)}"
    told, heard = 0, time.monotonic()
    while build.state == "running":
        for step in build.steps[told:]:
            progress(step.name)
        told = len(build.steps)
        time.sleep(ASK_SECONDS)
        try:
            response = asked(session.get, address, timeout=(CONNECT_SECONDS, BUILD.seconds))
        except RequestFailed:
            if time.monotonic() > heard + SILENCE_SECONDS:
                raise
            continue
        if response.status_code == requests.codes.ok:
            build, heard = _build(response, address), time.monotonic()
        elif response.status_code not in PASSING or time.monotonic() > heard + SILENCE_SECONDS:
            raise refusal(response, address)
    for step in build.steps[told:]:
        progress(step.name)
    if build.report is None:
        raise _error_of(build.problem, build.status or 500, address)
    return msgspec.convert(build.report, VersionReport)


def _build(response: requests.Response, address: str) -> Build:
    return _decoded(response, address, Build)


def _report(response: requests.Response, address: str) -> VersionReport:
    return _decoded(response, address, VersionReport)


def _decoded(response: requests.Response, address: str, kind: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except msgspec.MsgspecError as error:
        raise RequestFailed(
            f"{address} is no policy server: {error}.", status=response.status_code
        ) from error


def refusal(response: requests.Response, address: str) -> FaultsError:
    """The error that an answer tells of."""
    try:
        document = response.json()
    except ValueError:
        document = None
    where = response.headers.get("Location")
    return _error_of(
        document, response.status_code, address, f"; it leads to {where}" if where else ""
    )


def _error_of(problem: Any, status: int, address: str, remedy: str = "") -> FaultsError:
    """The error that a problem document tells of."""
    try:
        faults = [Fault(each["pointer"], each["detail"]) for each in problem.get("errors", ())]
        # The detail repeats the first fault, for those who read nothing else.
        summary = problem["detail"].removesuffix(str(faults[0]) if faults else "").strip()
    except (LookupError, TypeError, AttributeError):
        return RequestFailed(f"{address} answered {status}{remedy}.", status=status)
    if status == requests.codes.unprocessable:
        return UploadRejected(summary, faults)
    return RequestFailed(f"{address}: {summary}", faults, status)
