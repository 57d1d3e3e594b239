"""Versions that were made before `network.json` lay with the model serve, and are built on."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from policy_server.proving.assembly import Assembly
from policy_server.proving.limits import BuildLimits
from policy_server.serving.limits import ServingLimits
from policy_server.serving.loading import load_version
from policy_server.store.manifest import Manifest
from policy_server.store.registry import open_store
from policy_server.store.store import Store
from policy_server.version.parts import Part, uploaded_file
from policy_server.version.version_parts import read_network
from tests.serving.conftest import CONTRACT, make_version
from tests.support.networks import linear_onnx

OLD_NETWORK = {
    "engine": "onnxruntime",
    "feature_width": 3,
    "family": "categorical",
    "sizes": [4],
    "timing": {"runs": [4.4e-06, 5.6e-06, 5.5e-06], "preprocessor_seconds": 3.1e-07},
    "output": "logits",
}
OLD_FACTS = {
    "engine": "onnxruntime",
    "feature_width": 3,
    "output": "logits",
    "output_width": 4,
    "reading": "logits",
    "actions": {
        "family": "categorical",
        "sizes": None,
        "heads": None,
        "detail": "4 numbers, `logits`, read as logits",
    },
    "engine_detail": "ONNX Runtime runs the uploaded network's output `logits`",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "base")


def old_version(store: Store, facts: Mapping[str, Any]) -> str:
    """An active version whose folder is as it was made before."""
    made = store.folder(make_version(store))
    manifest = store.manifest(made.name)
    with store.writing(), store.stage() as folder:
        store.copy_parts(made.name, [Part.MODEL], folder)
        model = folder / Part.MODEL
        (model / "network.json").unlink()
        (model / "facts.json").write_text(json.dumps(facts))
        (folder / "network.json").write_text(json.dumps(OLD_NETWORK))
        old: Manifest = store.commit(
            folder, contract=manifest.contract, parts=manifest.parts, checks=[], complete=True
        )
        store.activate(old.name)
    return old.name


def test_an_old_version_serves(store: Store) -> None:
    name = old_version(store, OLD_FACTS)
    assert not (store.folder(name) / Part.MODEL / "network.json").exists()

    async def decide() -> list[dict[str, Any]]:
        version = await load_version(store, name, CONTRACT, ServingLimits())
        record = version.policy.decoder.convert({"x": [0.5, -1.0, 2.0]})
        answers = await version.decider.decide([record], "describe")
        version.close()
        return list(answers)

    (answer,) = asyncio.run(decide())
    assert sum(answer["heads"][0]["probabilities"]) == pytest.approx(1)
    network = read_network(store.folder(name), CONTRACT)
    assert network.timing.runs == tuple(OLD_NETWORK["timing"]["runs"])  # type: ignore[index]
    assert network.sizes == (4,)


def test_a_version_is_built_on_an_old_model(store: Store) -> None:
    base = old_version(store, OLD_FACTS)
    with store.writing(), store.stage() as folder:
        store.copy_parts(base, [Part.MODEL], folder)
        (folder / Part.OUTPUT_MAPPER).mkdir()
        uploaded_file(folder, Part.OUTPUT_MAPPER).write_text("{0: a, 1: b, 2: c, 3: d}")
        parts = [Part.OUTPUT_MAPPER]
        report = Assembly(folder, CONTRACT, parts, BuildLimits(), lambda *_: None).build()
        assert report.ready, report
        network = read_network(folder, CONTRACT)
    assert (network.engine, network.family, network.sizes) == ("onnxruntime", "categorical", (4,))
    assert network.timing.runs != tuple(OLD_NETWORK["timing"]["runs"])  # type: ignore[index]


def test_what_an_old_model_leaves_open_is_still_asked(tmp_path: Path) -> None:
    model = tmp_path / Part.MODEL
    model.mkdir()
    (model / "upload").write_bytes(linear_onnx(3, 4))
    (model / "facts.json").write_text(json.dumps({"undeclared": "which output is it?"}))
    report = Assembly(tmp_path, CONTRACT, [], BuildLimits(), lambda *_: None).build()
    assert [check.detail for check in report.checks if check.name == "reading"] == [
        "which output is it?; upload it with the model, as `description_file`; in a folder it is "
        "model.yaml"
    ]
