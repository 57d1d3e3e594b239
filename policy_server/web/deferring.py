"""Answers to what takes long: when it is done, or at once, with a build to ask for (RFC 7240)."""

import contextvars
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus

import connexion
import flask
import msgspec

from policy_server.contract.operations import OPERATIONS, PREFER_HEADER, PREFERRED
from policy_server.serving.builds import Build, Job, Result
from policy_server.web.adapters.connexion_request import identity_of, keep_files, operation_of
from policy_server.web.application import current_service
from policy_server.web.auditing import entry_of
from policy_server.web.prefix import prefix_of
from policy_server.web.problems import MEDIA_TYPE
from policy_server.web.request_ids import request_id

ASK_SECONDS = 1
"""After which a build may be asked for again."""
JSON = "application/json"

Progress = Callable[[str], None]
"""Told what is being done, a few words at a time."""

logger = logging.getLogger(__name__)


def answered(work: Callable[[Progress], object], result: Result = "report") -> flask.Response:
    """The answer of something that takes long; or that it has begun, if the client prefers that.

    Args:
        work: Does it, and returns what is to be answered.
        result: What that is.
    """
    if not _prefers_async():
        return _json(work(logger.debug))
    scope, service = connexion.request.scope, current_service()
    operation, identity = operation_of(scope), identity_of(scope)
    assert operation is not None

    def note_end(status: int, detail: str) -> None:
        if operation.audited:
            service.audit.write(entry_of(scope, operation, status, detail))

    keep_files()
    user, context = "" if identity is None else identity.name, contextvars.copy_context()
    job = Job(
        operation.id,
        user,
        request_id(scope),
        lambda progress: context.run(work, progress),
        result,
        lambda status, detail: context.run(note_end, status, detail),
    )
    return _accepted(service.builds.begin(job), {"Preference-Applied": PREFERRED})


def answer_of(build: Build) -> flask.Response:
    """What a build's own request would have been answered; or that the build goes on."""
    if build.state == "running":
        return _accepted(build)
    if build.problem is not None:
        content = msgspec.json.encode(build.problem)
        return flask.Response(content, build.status, mimetype=MEDIA_TYPE)
    return _json(build.report or build.verification)


def _accepted(build: Build, headers: Mapping[str, str] | None = None) -> flask.Response:
    base = f"{prefix_of(connexion.request.scope)}{current_service().contract.base_path}"
    response = _json(build, HTTPStatus.ACCEPTED)
    response.headers["Location"] = f"{base}{OPERATIONS['build'].path_with(build=build.build)}"
    response.headers["Retry-After"] = str(ASK_SECONDS)
    response.headers.update(headers or {})
    return response


def _prefers_async() -> bool:
    """Whether one of the client's preferences is to be answered at once."""
    given = connexion.request.headers.getlist(PREFER_HEADER)
    preferences = [each.partition(";")[0] for value in given for each in value.split(",")]
    return PREFERRED in (each.strip().lower() for each in preferences)


def _json(answer: object, status: int = HTTPStatus.OK) -> flask.Response:
    return flask.Response(msgspec.json.encode(answer), status, mimetype=JSON)
