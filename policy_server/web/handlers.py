"""The operations of the contract: one short function for each operationId."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import connexion
import flask
import msgspec
from werkzeug.datastructures import FileStorage

from policy_server.contract.records import Record
from policy_server.policy.answers import Query
from policy_server.serving.bundle import Bundle
from policy_server.serving.loading import LiveVersion
from policy_server.serving.publication import VersionReport
from policy_server.version.parts import Part
from policy_server.web.application import current_service, decoded_body, on_loop

Json = dict[str, Any]
VERSION_HEADER, TIMEOUT_HEADER = "X-Policy-Version", "X-Request-Timeout"


def predict(seed: int | None = None) -> flask.Response:
    """Draw an action for an observation."""
    return _decide_on_one("draw", seed)


def predict_deterministic() -> flask.Response:
    """Take the most probable action."""
    return _decide_on_one("mode")


def distribution() -> flask.Response:
    """Describe the distribution over actions."""
    return _decide_on_one("describe")


def predict_batch(seed: int | None = None, deterministic: bool = False) -> flask.Response:
    """Draw an action for each of many observations, or take the most probable ones."""
    live = _live()
    query: Query = "mode" if deterministic else "draw"
    predictions = on_loop(live.decider.decide, decoded_body(), query, seed, _seconds())
    return _decision(live, {"predictions": predictions})


def predict_raw(seed: int | None = None) -> flask.Response:
    """Draw an action for a feature vector."""
    live = _live()
    features = live.policy.raw_features(decoded_body())
    answers = on_loop(live.decider.decide_features, features, "draw", seed, _seconds())
    return _decision(live, answers[0])


def upload_policy(
    model_file: FileStorage,
    user: str,
    preprocessor_file: FileStorage | None = None,
    output_mapper_file: FileStorage | None = None,
    schema_file: FileStorage | None = None,
    golden_file: FileStorage | None = None,
    description_file: FileStorage | None = None,
) -> flask.Response:
    """Make a version of these files alone."""
    files = {
        Part.MODEL: model_file,
        Part.DESCRIPTION: description_file,
        Part.PREPROCESSOR: preprocessor_file,
        Part.OUTPUT_MAPPER: output_mapper_file,
        Part.GOLDEN: golden_file,
    }
    parts = {part: file for part, file in files.items() if file is not None}
    schema = schema_file.read() if schema_file is not None else None
    bundle = Bundle(parts, schema)
    return _published(current_service().publisher.publish(bundle, created_by=user))


def upload_model(
    model_file: FileStorage, user: str, description_file: FileStorage | None = None
) -> flask.Response:
    """Make a version with a new model, and what is declared of it."""
    described = {} if description_file is None else {Part.DESCRIPTION: description_file}
    return _upload({Part.MODEL: model_file, **described}, user)


def upload_preprocessor(preprocessor_file: FileStorage, user: str) -> flask.Response:
    """Make a version with a new preprocessor."""
    return _upload({Part.PREPROCESSOR: preprocessor_file}, user)


def upload_output_mapper(output_mapper_file: FileStorage, user: str) -> flask.Response:
    """Make a version with new meanings."""
    return _upload({Part.OUTPUT_MAPPER: output_mapper_file}, user)


def versions() -> flask.Response:
    """All versions, and which of them serve where."""
    return _json(current_service().versions.list())


def activate_version(version: str) -> flask.Response:
    """Let a version decide from now on."""
    return _published(current_service().versions.activate(version))


def verify_version(version: str) -> flask.Response:
    """Replay the golden cases of a version."""
    return _json(current_service().versions.verify(version))


def delete_version(version: str) -> flask.Response:
    """Remove a version that nobody needs."""
    current_service().versions.delete(version)
    return flask.Response(status=204)


def predict_batch_with_version(
    version: str, seed: int | None = None, deterministic: bool = False
) -> flask.Response:
    """Decide on many observations with a version that need not be active."""
    records = decoded_body()
    lent = current_service().live.lent(version)
    return on_loop(_decide_with, lent, records, "mode" if deterministic else "draw", seed)


def schema() -> flask.Response:
    """The observation schema as it was given."""
    return flask.Response(current_service().contract.schema.text, mimetype="text/plain")


def clients() -> flask.Response:
    """The SDKs of all languages."""
    return _archive(None)


def clients_of_language(language: str) -> flask.Response:
    """The SDK of one language."""
    return _archive(language)


def health_live() -> flask.Response:
    """The process answers."""
    return _json({"status": "ok"})


def health_ready() -> flask.Response:
    """A policy decides; NoActivePolicy says why where none does."""
    current_service().shutdown.check()
    live = current_service().live
    health = {"status": "ok", "version": live.current().name}
    if live.deviation is not None:
        health |= {"status": "degraded", "detail": live.deviation}
    return _json(health)


def _archive(language: str | None) -> flask.Response:
    content = current_service().clients.archive(language)
    name = f"clients-{language}.zip" if language else "clients.zip"
    answer = flask.Response(content, mimetype="application/zip")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.add_etag()
    answer.make_conditional(flask.request)
    return answer


def _live() -> LiveVersion:
    """The version that decides, which must be the one that is asked for, if one is."""
    live = current_service().live.current()
    asked = connexion.request.headers.get(VERSION_HEADER)
    if asked is not None:
        live.check_asked(asked.encode("latin-1"))
    return live


def _seconds() -> float | None:
    """How long the client waits; None is for ever."""
    timeout = connexion.request.headers.get(TIMEOUT_HEADER)
    most = current_service().most_seconds
    return None if timeout is None else min(most, float(timeout))


async def _decide_with(
    lent: AbstractAsyncContextManager[LiveVersion],
    records: Sequence[Record],
    query: Query,
    seed: int | None,
) -> flask.Response:
    async with lent as version:
        predictions = await version.decider.decide(records, query, seed)
        return _decision(version, {"predictions": predictions})


def _upload(files: dict[Part, FileStorage], user: str) -> flask.Response:
    return _published(current_service().publisher.upload(files, user))


def _published(report: VersionReport) -> flask.Response:
    on_loop(current_service().refresh)
    return _json(report)


def _decide_on_one(query: Query, seed: int | None = None) -> flask.Response:
    live = _live()
    answers = on_loop(live.decider.decide, decoded_body(), query, seed, _seconds())
    return _decision(live, answers[0])


def _decision(live: LiveVersion, answer: Json) -> flask.Response:
    return _json(answer, {"X-Policy-Version": live.name})


def _json(answer: object, headers: dict[str, str] | None = None) -> flask.Response:
    return flask.Response(msgspec.json.encode(answer), headers=headers, mimetype="application/json")
