"""What the tests of serving share: versions that were built in this process, quickly."""

from pathlib import Path

import pytest

from policy_server.contract.contract import Contract
from policy_server.proving.assembly import Assembly
from policy_server.proving.limits import BuildLimits
from policy_server.store.registry import open_store
from policy_server.store.store import Store
from policy_server.version.parts import Part, name_by_content
from tests.serving.deciders import Make, maker
from tests.support.contracts import contract_of
from tests.support.networks import linear_onnx

CONTRACT = contract_of()


def make_version(
    store: Store,
    contract: Contract = CONTRACT,
    *,
    activate: bool = True,
    **parts: bytes | str | Path,
) -> str:
    """Build and commit a version of these parts; of a small network if no model is among them."""
    parts = {"model": linear_onnx(3, 4), **parts}
    with store.writing(), store.stage() as folder:
        for name, content in parts.items():
            (folder / name).mkdir()
            if isinstance(content, Path):
                content = content.read_bytes()
            content = content.encode() if isinstance(content, str) else content
            (folder / name / name_by_content(Part(name), content)).write_bytes(content)
        uploaded = [Part(name) for name in parts]
        report = Assembly(folder, contract, uploaded, BuildLimits(), lambda *_: None).build()
        assert report.ready, report
        manifest = store.commit(
            folder, contract=contract.digest, parts=parts, checks=[], complete=True
        )
        if activate:
            store.activate(manifest.name)
    return manifest.name


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return open_store(tmp_path / "base")


@pytest.fixture
def decider(tmp_path: Path) -> Make:
    """Makes deciders: `mode` is direct, batched or isolated."""
    return maker(tmp_path)
