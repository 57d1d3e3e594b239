"""The operations of the contract: one short function for each operationId."""

from functools import partial
from typing import Any, BinaryIO, cast

import connexion
import flask
import msgspec
from werkzeug.datastructures import FileStorage

from policy_server.contract.operations import TIMEOUT_HEADER, VERSION_HEADER
from policy_server.serving.bundle import Bundle
from policy_server.serving.decisions import Named
from policy_server.serving.policies import PolicyCatalogue
from policy_server.serving.version_report import VersionReport
from policy_server.version.parts import Part
from policy_server.web.adapters.connexion_request import decoded_body
from policy_server.web.application import current_service, on_loop
from policy_server.web.archives import archive_of, edge_of, sdks_of
from policy_server.web.auditing import note, note_files
from policy_server.web.deferring import Progress, answer_of, answered
from policy_server.web.health import ALIVE, health_of
from policy_server.web.observing import stages_of
from policy_server.web.state import state_of

Json = dict[str, Any]


def predict(seed: int | None = None) -> flask.Response:
    """Draw an action for an observation."""
    return _decision("predict", seed)


def predict_deterministic() -> flask.Response:
    """Take the most probable action."""
    return _decision("predict_deterministic")


def distribution() -> flask.Response:
    """Describe the distribution over actions."""
    return _decision("distribution")


def predict_batch(seed: int | None = None, deterministic: bool = False) -> flask.Response:
    """Draw an action for each of many observations, or take the most probable ones."""
    return _decision("predict_batch", seed, deterministic)


def distribution_batch() -> flask.Response:
    """Describe the distribution over actions for each of many observations."""
    return _decision("distribution_batch")


def predict_raw(seed: int | None = None) -> flask.Response:
    """Draw an action for a feature vector."""
    return _decision("predict_raw", seed)


def step(seed: int | None = None, deterministic: bool = False) -> flask.Response:
    """Decide on the next step of an episode."""
    return _decision("step", seed, deterministic)


def step_batch(seed: int | None = None, deterministic: bool = False) -> flask.Response:
    """Decide on the next step of each of many episodes."""
    return _decision("step_batch", seed, deterministic)


def upload_policy(
    model_file: FileStorage,
    user: str,
    preprocessor_file: FileStorage | None = None,
    output_mapper_file: FileStorage | None = None,
    schema_file: FileStorage | None = None,
    golden_file: FileStorage | None = None,
    description_file: FileStorage | None = None,
    activate: bool = True,
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
    note_files(connexion.request.scope, parts.items())
    if schema_file is not None:
        note_files(connexion.request.scope, [("schema", schema_file)])
    bundle = Bundle(parts, schema_file.read() if schema_file is not None else None)
    publish = current_service().publisher.publish
    return answered(
        lambda progress: _published(publish(bundle, progress, user, activate=activate), progress)
    )


def upload_model(
    model_file: FileStorage,
    user: str,
    description_file: FileStorage | None = None,
    activate: bool = True,
) -> flask.Response:
    """Make a version with a new model, and what is declared of it."""
    described = {} if description_file is None else {Part.DESCRIPTION: description_file}
    return _upload({Part.MODEL: model_file, **described}, user, activate)


def upload_preprocessor(
    preprocessor_file: FileStorage, user: str, activate: bool = True
) -> flask.Response:
    """Make a version with a new preprocessor."""
    return _upload({Part.PREPROCESSOR: preprocessor_file}, user, activate)


def upload_output_mapper(
    output_mapper_file: FileStorage, user: str, activate: bool = True
) -> flask.Response:
    """Make a version with new meanings."""
    return _upload({Part.OUTPUT_MAPPER: output_mapper_file}, user, activate)


def upload_archive(archive_file: FileStorage, user: str, activate: bool = False) -> flask.Response:
    """Make a version of one that another server has proven."""
    note_files(connexion.request.scope, [("archive", archive_file)])
    service = current_service()
    arrived = service.copies.checked(cast(BinaryIO, archive_file.stream))
    note(connexion.request.scope, hashes={"server": arrived.signed.fingerprint})
    receive = service.publisher.receive
    return answered(
        lambda progress: _published(receive(arrived, activate, user, progress), progress)
    )


def version_archive(version: str) -> flask.Response:
    """All that a version has, for another server."""
    return archive_of(current_service().copies, version)


def version_edge(version: str) -> flask.Response:
    """What a version needs to decide without a server."""
    return edge_of(current_service().packages, version)


def versions() -> flask.Response:
    """All versions, and which of them serve where."""
    return _json(current_service().versions.list())


def activate_version(version: str) -> flask.Response:
    """Let a version decide from now on."""
    note(connexion.request.scope, version)
    activate = current_service().versions.activate
    return answered(lambda progress: _published(activate(version), progress))


def verify_version(version: str) -> flask.Response:
    """Replay the golden cases of a version."""
    verify = current_service().versions.verify
    return answered(lambda progress: verify(version, progress), "verification")


def delete_version(version: str) -> flask.Response:
    """Remove a version that nobody needs."""
    note(connexion.request.scope, version)  # whether it is there or not
    _note_hash(version)
    current_service().versions.delete(version)
    return flask.Response(status=204)


def predict_batch_with_version(
    version: str, seed: int | None = None, deterministic: bool = False
) -> flask.Response:
    """Decide on many observations with a version that need not be active."""
    plane = current_service().plane
    request = plane.request_for(
        "predict_batch_with_version", seed=seed, deterministic=deterministic
    )
    decoded = decoded_body()
    stages = stages_of(connexion.request.scope)
    return _decided(*on_loop(plane.answer_with, version, request, decoded, stages))


def builds() -> flask.Response:
    """Builds that clients asked to be answered later."""
    return _json({"builds": current_service().builds.list()})


def build(build: str) -> flask.Response:
    """What a build has done so far, and what came of it."""
    return _json(current_service().builds.get(build))


def build_answer(build: str) -> flask.Response:
    """What a build's own request would have been answered, once that is known."""
    return answer_of(current_service().builds.get(build))


def policies() -> flask.Response:
    """The policies beside the default one."""
    return _json({"policies": _catalogue().list()})


def create_policy(
    policy: str, schema_file: FileStorage, title: str | None = None
) -> flask.Response:
    """Make a policy, which has a schema and no version yet."""
    note_files(connexion.request.scope, [("schema", schema_file)])
    note(connexion.request.scope, policy)
    _catalogue().create(policy, schema_file.read(), title)
    return _json(_catalogue().get(policy))


def delete_policy(policy: str) -> flask.Response:
    """Remove a policy with all that it has."""
    note(connexion.request.scope, policy)
    _catalogue().delete(policy)
    return flask.Response(status=204)


def audit(limit: int = 100, before: int | None = None) -> flask.Response:
    """Who changed what, latest first."""
    return _json(current_service().audit.page(limit, before))


def schema() -> flask.Response:
    """The observation schema as it was given."""
    return flask.Response(current_service().contract.schema.text, mimetype="text/plain")


def clients() -> flask.Response:
    """The SDKs of all languages."""
    return sdks_of(current_service().clients, None)


def clients_of_language(language: str) -> flask.Response:
    """The SDK of one language."""
    return sdks_of(current_service().clients, language)


def health_live() -> flask.Response:
    """The process answers."""
    return _json(ALIVE)


def health_ready() -> flask.Response:
    """Workers of this server decide; NoActivePolicy says why where none does."""
    return _json(health_of(state_of(connexion.request.scope)))


def _catalogue() -> PolicyCatalogue:
    policies = current_service().policies
    assert policies is not None  # these operations are the default policy's alone
    return policies.catalogue


def _upload(files: dict[Part, FileStorage], user: str, activate: bool) -> flask.Response:
    note_files(connexion.request.scope, files.items())
    upload = partial(current_service().publisher.upload, files, user, activate=activate)
    return answered(lambda progress: _published(upload(progress=progress), progress))


def _note_hash(version: str) -> None:
    hashes = {"version": current_service().versions.hash_of(version)}
    note(connexion.request.scope, version, hashes)


def _published(report: VersionReport, progress: Progress) -> VersionReport:
    """Have this worker decide with what was activated, before anybody is told."""
    progress("serving it")
    _note_hash(report.version)
    on_loop(current_service().refresh)
    return report


def _decision(
    operation: str, seed: int | None = None, deterministic: bool = False
) -> flask.Response:
    """What the live policy decides on the body of the request that is being answered."""
    plane, headers = current_service().plane, connexion.request.headers
    version = headers.get(VERSION_HEADER)
    request = plane.request_for(
        operation,
        seed=seed,
        deterministic=deterministic,
        version=None if version is None else version.encode("latin-1"),
        timeout=headers.get(TIMEOUT_HEADER),
    )
    decoded = decoded_body()
    stages = stages_of(connexion.request.scope)
    return _decided(*on_loop(plane.answer, request, decoded, stages))


def _decided(answer: Json, version: Named) -> flask.Response:
    return _json(answer, {VERSION_HEADER: version.name})


def _json(answer: object, headers: dict[str, str] | None = None) -> flask.Response:
    return flask.Response(msgspec.json.encode(answer), headers=headers, mimetype="application/json")
