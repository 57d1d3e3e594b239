"""The operations of the contract: one short function for each operationId."""

from typing import Any

import flask
import msgspec
from werkzeug.datastructures import FileStorage

from policy_server.build.report import Part
from policy_server.contract.schema import Observation
from policy_server.errors import ClientsUnavailable
from policy_server.serving.live import LiveVersion
from policy_server.web.application import current_service

Json = dict[str, Any]


def predict(body: Observation, seed: int | None = None) -> flask.Response:
    """Draw an action for an observation."""
    live = _live()
    return _decision(live, live.policy.predict([body], seed)[0])


def predict_deterministic(body: Observation) -> flask.Response:
    """Take the most probable action."""
    live = _live()
    return _decision(live, live.policy.predict_deterministic([body])[0])


def distribution(body: Observation) -> flask.Response:
    """Describe the distribution over actions."""
    live = _live()
    return _decision(live, live.policy.distributions([body])[0])


def predict_batch(body: Json, seed: int | None = None) -> flask.Response:
    """Draw an action for each of many observations."""
    live = _live()
    return _decision(live, {"predictions": live.policy.predict(body["observations"], seed)})


def predict_raw(body: Json, seed: int | None = None) -> flask.Response:
    """Draw an action for a feature vector."""
    live = _live()
    features = live.policy.raw_features(body["obs"])
    return _decision(live, live.policy.predict_features(features, seed)[0])


def upload_model(model_file: FileStorage) -> flask.Response:
    """Make a version with a new model."""
    return _upload(Part.MODEL, model_file)


def upload_preprocessor(preprocessor_file: FileStorage) -> flask.Response:
    """Make a version with a new preprocessor."""
    return _upload(Part.PREPROCESSOR, preprocessor_file)


def upload_output_mapper(output_mapper_file: FileStorage) -> flask.Response:
    """Make a version with new meanings."""
    return _upload(Part.OUTPUT_MAPPER, output_mapper_file)


def schema() -> flask.Response:
    """The observation schema as it was given."""
    return flask.Response(current_service().contract.schema.text, mimetype="text/plain")


def clients() -> flask.Response:
    """The SDKs."""
    raise ClientsUnavailable("This version of the server does not make SDKs yet.")


def health_live() -> flask.Response:
    """The process answers."""
    return _json({"status": "ok"})


def health_ready() -> flask.Response:
    """A policy decides; NoActivePolicy says why where none does."""
    return _json({"status": "ok", "version": _live().name})


def _live() -> LiveVersion:
    return current_service().live.current()


def _upload(part: Part, file: FileStorage) -> flask.Response:
    service = current_service()
    report = service.publisher.upload(part, file)
    service.live.refresh()
    return _json(report)


def _decision(live: LiveVersion, answer: Json) -> flask.Response:
    return _json(answer, {"X-Policy-Version": live.name})


def _json(answer: object, headers: dict[str, str] | None = None) -> flask.Response:
    return flask.Response(msgspec.json.encode(answer), headers=headers, mimetype="application/json")
