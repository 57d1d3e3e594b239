"""Versions whose network an inference server runs: a real Triton, and KServe's own server."""

import asyncio
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from policy_server.errors import EngineFailed, UploadRejected
from policy_server.policy.engines.servers import EngineServers
from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.limits import ServingLimits
from policy_server.serving.loading import load_version
from policy_server.serving.publication import Publisher
from policy_server.serving.version_report import VersionReport
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from tests.serving.conftest import CONTRACT
from tests.support.contracts import kept_contracts
from tests.support.counterparts import Counterpart
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.triton import triton, write_model

KERNEL, OTHER = linear_kernel(3, 4), linear_kernel(3, 4, seed=1)
XS = np.random.default_rng(2).uniform(-2, 2, (20, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def inference_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    repository = tmp_path_factory.mktemp("models")
    write_model(repository, "walker", {"1": KERNEL}, most_rows=48)
    write_model(repository, "versions", {"3": KERNEL, "7": OTHER})
    write_model(repository, "two", {"1": KERNEL}, gives="FP64", outputs=("one", "other"))
    write_model(repository, "half", {"1": KERNEL}, takes="FP16", gives="FP16")
    write_model(repository, "changing", {"1": KERNEL})
    with triton(tmp_path_factory.mktemp("triton"), repository) as started:
        yield started


class Base:
    """A store, and an inference server that uploads may call `triton`."""

    def __init__(self, folder: Path, url: str) -> None:
        self.store = open_store(folder)
        self.servers = EngineServers(5.0, inference={"triton": url})
        contracts = kept_contracts(CONTRACT, folder)
        self.publisher = Publisher(self.store, contracts, BuildLimits(), servers=self.servers)

    def publish(self, model: bytes, description: bytes = b"") -> VersionReport:
        parts = {Part.MODEL: io.BytesIO(model)}
        if description:
            parts[Part.DESCRIPTION] = io.BytesIO(description)
        return self.publisher.publish(Bundle(parts))

    def probabilities(self, name: str) -> NDArray[np.float64]:
        """What a version says of XS, each asked for alone and at once."""

        async def decide() -> Sequence[object]:
            version = await load_version(self.store, name, CONTRACT, ServingLimits(), self.servers)
            decoder = version.policy.decoder
            records = [decoder.convert({"x": x}) for x in XS.tolist()]
            calls = [version.decider.decide([record], "describe") for record in records]
            answers = await asyncio.gather(*calls)
            version.close()
            return [answer[0]["heads"][0]["probabilities"] for answer in answers]

        return np.array(asyncio.run(decide()))


@pytest.fixture
def base(tmp_path: Path, inference_server: Counterpart) -> Base:
    return Base(tmp_path / "base", inference_server.url)


def reference(model: str, *lines: str) -> bytes:
    text = "\n".join(["# what Triton runs", "inference_server: triton", f"model: {model}", *lines])
    return text.encode()


@pytest.mark.parametrize("model", ["walker", "half"])
def test_its_models_are_found_out_proven_and_served(base: Base, model: str) -> None:
    report = base.publish(reference(model))
    (engine,) = [check.detail for check in report.checks if check.name == "engine"]
    rows = {"walker": 16, "half": 64}[model]
    assert f"`{model}`, version 1, of the inference server `triton`, {rows} rows" in engine
    assert {"rows", "decisions", "speed"} <= {check.name for check in report.checks}
    expected = special.softmax(XS @ KERNEL, axis=1)
    atol = 1e-5 if model == "walker" else 1e-2
    np.testing.assert_allclose(base.probabilities(report.version), expected, atol=atol)


def test_of_several_versions_one_is_named(base: Base) -> None:
    with pytest.raises(UploadRejected, match='`version: "3"` or `version: "7"`'):
        base.publish(reference("versions"))
    made = {each: base.publish(reference("versions", f"version: {each}")) for each in (3, 7)}
    for version, kernel in ((3, KERNEL), (7, OTHER)):
        found = base.probabilities(made[version].version)
        np.testing.assert_allclose(found, special.softmax(XS @ kernel, axis=1), atol=1e-5)


def test_of_several_outputs_one_is_named(base: Base) -> None:
    with pytest.raises(UploadRejected, match=r"`output: one`"):
        base.publish(reference("two"))
    report = base.publish(reference("two"), b"output: other\nreads: logits\n")
    expected = special.softmax(XS @ KERNEL, axis=1)
    np.testing.assert_allclose(base.probabilities(report.version), expected, atol=1e-5)


REFUSED = {
    "inference_server: other\nmodel: walker": "no inference server `other`: `triton`",
    "inference_server: http://127.0.0.1:9\nmodel: walker": "no inference server `http",
    "inference_server: triton\nmodel: nobody": "status 404",
    "inference_server: triton\nmodel: ../../health": "status 40",
    "inference_server: triton\nmodell: walker": "do you mean `model`",
    "inference_server: triton\n": "`model` is missing",
    "inference_server: [triton]\nmodel: walker": "takes one name",
    "inference_server: triton\nmodel: walker\nversion: 9": "status 40",
    "inference_server: triton\nmodel: walker\noutput: {name: x, datatype: FP32}": "is such as",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_served_is_refused_with_the_reason(base: Base, text: str) -> None:
    with pytest.raises(UploadRejected) as refused:
        base.publish(text.encode())
    said = "; ".join([str(refused.value), *(fault.detail for fault in refused.value.faults)])
    assert REFUSED[text] in said
    assert base.store.active() is None


def test_what_only_a_built_network_can_do_is_refused(base: Base) -> None:
    with pytest.raises(UploadRejected, match=r"preprocessing\.yaml"):
        base.publish(reference("walker"), b"normalise: {mean: [0, 0, 0], variance: [1, 1, 1]}\n")
    with pytest.raises(UploadRejected, match=r"`memory` in model\.yaml is written into a network"):
        base.publish(reference("walker"), b"memory: {frames: 2, padding: zeros}\n")


def test_an_upload_without_its_server_loses_nothing(base: Base, tmp_path: Path) -> None:
    before = base.publish(linear_onnx(3, 4))
    absent = EngineServers(1.0, inference={"triton": "http://127.0.0.1:9"})
    contracts = kept_contracts(CONTRACT, tmp_path / "base")
    publisher = Publisher(base.store, contracts, BuildLimits(), servers=absent)
    with pytest.raises(UploadRejected, match="cannot be reached"):
        publisher.publish(Bundle({Part.MODEL: io.BytesIO(reference("walker"))}))
    assert base.store.active() == before.version


def test_where_another_network_took_its_place_it_is_not_loaded(
    base: Base, inference_server: Counterpart, tmp_path_factory: pytest.TempPathFactory
) -> None:
    report = base.publish(reference("changing"))
    repository = tmp_path_factory.mktemp("others")
    write_model(repository, "changing", {"1": OTHER})
    with triton(tmp_path_factory.mktemp("other"), repository) as other:
        base.servers = EngineServers(5.0, inference={"triton": other.url})
        with pytest.raises(EngineFailed, match="runs another network"):
            base.probabilities(report.version)
