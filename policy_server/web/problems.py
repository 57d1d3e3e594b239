"""Every error as `application/problem+json` (RFC 9457); the one table from class to status."""

import http
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import msgspec
from connexion.exceptions import ProblemException
from connexion.lifecycle import ConnexionRequest, ConnexionResponse
from starlette.exceptions import HTTPException

from policy_server import errors
from policy_server.contract.operations import BASE_PATH, KEY_HEADER, Role, methods_at
from policy_server.web.adapters.connexion_request import role_of
from policy_server.web.request_ids import request_id
from policy_server.web.state import KEY

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
BEARER = 'Bearer realm="policy server"'
CHALLENGE = f'Basic realm="policy server", charset="UTF-8", {BEARER}'

STATUSES: dict[type[errors.PolicyServerError], tuple[int, str]] = {
    errors.ObservationError: (400, "Not a valid observation"),
    errors.NotAuthenticated: (401, "Not authenticated"),
    errors.NotAuthorised: (403, "Not authorised"),
    errors.TooManyFailures: (429, "Too many failures"),
    errors.VersionNotFound: (404, "No such version"),
    errors.VersionConflict: (409, "Version conflict"),
    errors.PolicyNotFound: (404, "No such policy"),
    errors.PolicyConflict: (409, "Policy conflict"),
    errors.MemoryWanted: (409, "A policy with memory"),
    errors.MemoryCut: (400, "Memory is not whole"),
    errors.MemoryForged: (400, "Memory is not genuine"),
    errors.MemoryForeign: (409, "Memory of another contract"),
    errors.EpisodeExpired: (410, "Episode has expired"),
    errors.EpisodeVersionGone: (410, "Version of the episode is gone"),
    errors.EpisodesUnavailable: (501, "No episodes"),
    errors.UploadTooLarge: (413, "Too large"),
    errors.UploadRejected: (422, "Upload rejected"),
    errors.BuildNotFound: (404, "No such build"),
    errors.BuildLost: (500, "Build lost"),
    errors.StoreFailed: (507, "Not stored"),
    errors.StoreUnavailable: (503, "Store unavailable"),
    errors.PreprocessorFailed: (500, "Preprocessor failed"),
    errors.EngineFailed: (500, "Engine failed"),
    errors.EngineUnavailable: (503, "Engine unavailable"),
    errors.ClientOutdated: (409, "Made for another schema"),
    errors.ClientsUnavailable: (501, "No SDKs"),
    errors.ClientsFailed: (500, "No SDK"),
    errors.ClientsBuilding: (503, "SDKs are being made"),
    errors.ProviderUnavailable: (503, "No keys of the OpenID provider"),
    errors.NoActivePolicy: (503, "No active policy"),
    errors.Overloaded: (503, "Overloaded"),
    errors.Stopping: (503, "Stopping"),
    errors.DeadlineExceeded: (504, "Deadline exceeded"),
    errors.PolicyServerError: (500, "Internal error"),
}
"""Looked up by ancestry: the nearest class counts."""

UNSAID = {
    errors.EngineFailed: "The network could not be run; the log has the cause.",
    errors.EngineUnavailable: "The server that runs the network cannot be asked at present; the "
    "log has the cause. Ask again.",
    errors.ProviderUnavailable: "The OpenID provider cannot be asked for the keys that prove this "
    "token; the log has the cause. Ask again, or with other credentials.",
    errors.PolicyServerError: "The server failed; the log has the cause.",
}
"""What a client is told where the error's own words are for the log alone."""

TITLES = {401: STATUSES[errors.NotAuthenticated][1]}
DETAILS = {
    401: f"Accepted credentials are wanted: user and password (basic), or a key in {KEY_HEADER} or "
    "as a bearer token.",
    404: f"There is nothing at this path; {BASE_PATH}/ui lists what there is.",
    405: "This path does not take this method; the header Allow says which it takes.",
}
"""In our words where a framework's own are of no help."""

TYPES, NO_WORD = "/problems/", re.compile(r"[^a-z0-9]+")
PLACE = re.compile(r" \([^()]{1,100}, line [0-9]{1,9}\)\Z")
"""At the end of what is told of uploaded code that failed: file and line."""

logger = logging.getLogger(__name__)


def type_of(title: str) -> str:
    """The URI reference of a kind of problem: titles are for people, and tell all kinds apart."""
    return TYPES + NO_WORD.sub("-", title.lower()).strip("-")


def problem(
    status: int,
    title: str,
    detail: str,
    instance: str,
    faults: tuple[errors.Fault, ...] = (),
    cases: tuple[errors.DifferingCase, ...] = (),
) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a problem document."""
    document: dict[str, Any] = {
        "type": type_of(title),
        "title": title,
        "status": status,
        "detail": _unicode(detail),
        "instance": instance,
    }
    if faults:
        document["errors"] = [
            {"pointer": _unicode(fault.place), "detail": _unicode(fault.detail)} for fault in faults
        ]
    if cases:
        document["cases"] = [_case(each) for each in cases]
    headers = {"Content-Type": MEDIA_TYPE}
    if status == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    elif status == 503:
        headers["Retry-After"] = str(RETRY_SECONDS)
    return msgspec.json.encode(document), headers


def _case(case: errors.DifferingCase) -> dict[str, Any]:
    """A golden case that does not agree, as clients read it."""
    return {
        "place": _unicode(case.place),
        **({"observation": _unicode(case.observation)} if case.observation else {}),
        "differences": [
            {name: _unicode(text) for name, text in asdict(each).items()}
            for each in case.differences
        ],
    }


def describe(error: errors.PolicyServerError, *, to_manager: bool) -> tuple[int, str, str]:
    """Status, title and detail of one of our own errors."""
    ancestry = [cls for cls in type(error).__mro__ if cls in STATUSES]
    status, title = STATUSES[ancestry[0]]
    detail = UNSAID.get(ancestry[0], str(error))
    if isinstance(error, errors.FaultsError):
        detail = " ".join([error.summary, *map(str, error.faults[:1])])
    if isinstance(error, errors.PreprocessorFailed) and to_manager:
        detail = f"{detail} {error.cause}"
    return status, title, detail


def answer(
    error: errors.PolicyServerError, instance: str, role: Role
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of one of our own errors.

    What a client is not told goes to the log.
    """
    status, title, detail = describe(error, to_manager=role is Role.MANAGE)
    if status in (500, 507):
        _log(error, title, instance)
    faults = error.faults if isinstance(error, errors.FaultsError) else ()
    cases = error.cases if isinstance(error, errors.UploadRejected) else ()
    content, headers = problem(status, title, detail, instance, faults, cases)
    if isinstance(error, errors.TooManyFailures | errors.Overloaded):
        headers["Retry-After"] = str(math.ceil(error.seconds))
    return status, content, headers


def problem_document(error: errors.PolicyServerError, instance: str) -> tuple[int, dict[str, Any]]:
    """Status and document of the answer to one of our own errors, for a client that may manage."""
    status, content, _ = answer(error, instance, Role.MANAGE)
    return status, msgspec.json.decode(content, type=dict[str, Any])


def _log(error: errors.PolicyServerError, what: str, instance: str) -> None:
    """Log a failure of the server; what uploaded code said may quote an observation."""
    known = {"request_id": instance}
    if not isinstance(error, errors.PreprocessorFailed) or logger.isEnabledFor(logging.DEBUG):
        cause = error.cause if isinstance(error, errors.PreprocessorFailed) else str(error)
        logger.error("%s: %s", what, cause, exc_info=error, extra=known)
        return
    place = PLACE.search(error.cause)
    cause = error.cause.partition(": ")[0] + (place[0] if place else "")
    logger.error("%s: %s; DEBUG=True logs what else it said", what, cause, extra=known)


async def answer_own_error(request: ConnexionRequest, error: Exception) -> ConnexionResponse:
    """Answer one of our own errors."""
    assert isinstance(error, errors.PolicyServerError)
    status, body, headers = answer(error, request_id(request.scope), role_of(request.scope))
    return ConnexionResponse(
        status_code=status, mimetype=MEDIA_TYPE, content_type=MEDIA_TYPE, body=body, headers=headers
    )


async def answer_http_error(request: ConnexionRequest, error: Exception) -> ConnexionResponse:
    """Answer what connexion, Starlette or Werkzeug found wrong."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    phrase = http.HTTPStatus(status).phrase
    said = error.title if isinstance(error, ProblemException) else None
    title = TITLES.get(status, said or phrase)
    detail = DETAILS.get(status, str(error.detail or phrase))
    response = _response(request, status, title, detail)
    given: Mapping[str, str] = getattr(error, "headers", None) or {}
    response.headers.update(given)
    if "Allow" in response.headers:
        response.headers["Allow"] = _allowed(request, response.headers["Allow"])
    return response


def _allowed(request: ConnexionRequest, found: str) -> str:
    """The methods that a path takes: the router names those of the first operation there.

    They come from a set, which each worker would order its own way.
    """
    state = request.scope.get("state", {}).get(KEY)
    base = "" if state is None else state.service.contract.base_path
    also = methods_at(request.scope["path"].removeprefix(base)) if base else set()
    return ", ".join(sorted({*found.split(", "), *also}))


async def answer_crash(request: ConnexionRequest, error: Exception) -> ConnexionResponse:
    """Answer what nobody foresaw: the log gets all of it, the client a name to ask for."""
    known = {"request_id": request_id(request.scope)}
    logger.error("unforeseen: %s", type(error).__name__, exc_info=error, extra=known)
    status = http.HTTPStatus.INTERNAL_SERVER_ERROR
    detail = UNSAID[errors.PolicyServerError]
    return _response(request, status.value, status.phrase, detail)


ANSWERS = {
    errors.PolicyServerError: answer_own_error,
    HTTPException: answer_http_error,
    # Starlette would find connexion's own handler first.
    ProblemException: answer_http_error,
    Exception: answer_crash,
}
"""What answers an error, by its class."""


def _unicode(text: str) -> str:
    """Text that can be sent: JSON lets clients escape halves of characters, UTF-8 has none."""
    return text.encode("utf-8", "backslashreplace").decode()


def _response(request: ConnexionRequest, status: int, title: str, detail: str) -> ConnexionResponse:
    body, headers = problem(status, title, detail, request_id(request.scope))
    return ConnexionResponse(
        status_code=status, mimetype=MEDIA_TYPE, content_type=MEDIA_TYPE, body=body, headers=headers
    )
