"""Publishing to a server that runs, here or elsewhere."""

from typing import Any

import msgspec
import requests
from requests.auth import AuthBase, HTTPBasicAuth

from policy_server.contract.operations import BASE_PATH, OPERATIONS
from policy_server.errors import Fault, FaultsError, RequestFailed, UploadRejected
from policy_server.serving.bundle import Bundle
from policy_server.serving.version_report import VersionReport

CONNECT_SECONDS = 10.0
UPLOAD = OPERATIONS["upload_policy"]


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


def publish_to(url: str, bundle: Bundle, credentials: AuthBase) -> VersionReport:
    """Publish a bundle to a running server.

    Args:
        url: Where the server is; with or without `/api`.
        bundle: What it is to build, prove and activate.
        credentials: Of somebody who may replace the policy.

    Raises:
        UploadRejected: The server refused the bundle; nothing was changed.
        RequestFailed: It cannot be reached, or refused the credentials.
    """
    address = f"{url.rstrip('/').removesuffix(BASE_PATH)}{BASE_PATH}{UPLOAD.path}"
    files: dict[str, Any] = {f"{part}_file": (part, file) for part, file in bundle.parts.items()}
    if bundle.schema is not None:
        files["schema_file"] = ("schema.yaml", bundle.schema)
    try:
        response = requests.post(
            address,
            files=files,
            auth=credentials,
            timeout=(CONNECT_SECONDS, UPLOAD.seconds),
            allow_redirects=False,  # a form that was sent on would be another request
        )
    except requests.RequestException as error:
        raise RequestFailed(f"{address} cannot be reached: {error}") from error
    if response.status_code == requests.codes.ok:
        return _report(response, address)
    raise _refusal(response, address)


def _report(response: requests.Response, address: str) -> VersionReport:
    try:
        return msgspec.json.decode(response.content, type=VersionReport)
    except msgspec.MsgspecError as error:
        raise RequestFailed(
            f"{address} is no policy server: {error}.", status=response.status_code
        ) from error


def _refusal(response: requests.Response, address: str) -> FaultsError:
    """The error that a problem document tells of."""
    status = response.status_code
    try:
        problem = response.json()
        faults = [Fault(each["pointer"], each["detail"]) for each in problem.get("errors", ())]
        # The detail repeats the first fault, for those who read nothing else.
        summary = problem["detail"].removesuffix(str(faults[0]) if faults else "").strip()
    except (ValueError, LookupError, TypeError, AttributeError):
        where = response.headers.get("Location")
        remedy = f"; it leads to {where}" if where else ""
        return RequestFailed(f"{address} answered {status}{remedy}.", status=status)
    if status == requests.codes.unprocessable:
        return UploadRejected(summary, faults)
    return RequestFailed(f"{address}: {summary}", faults, status)
