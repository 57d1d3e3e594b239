"""A process that stops at any file operation of an upload leaves a whole version active."""

import io
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from policy_server.contract.samples import random_observations
from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.publication import Publisher
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from tests.support.contracts import contract_of, kept_contracts, read_contracts
from tests.support.networks import linear_onnx
from tests.support.policies import LoopedLive

PREPROCESSOR = b"def preprocess(observation):\n    return observation['x']\n"
MAPPER = b"{0: new up, 1: new down, 2: new left, 3: new right}"
CONTRACT = contract_of(3)
WIDER = contract_of(4)
OPERATIONS = {
    "posix": {
        *("open", "mkdir", "rmdir", "rename", "replace", "link", "unlink", "remove", "chmod"),
        *("fchmod", "utime", "fsync", "write", "close", "ftruncate", "sendfile", "copy_file_range"),
    },
    "fcntl": {"flock"},
    "io": {"open"},
    "_io": {"open"},
}
"""Functions that change files, or without which a change is not there yet."""
METHODS = {"write", "close", "flush", "truncate"}
KNOWN = {
    *("active", "candidate", "contract.json", "lock", "pointers.lock", "schemas", "staging"),
    *("swagger.yaml", "versions", "workers", "format"),
}


Tree = frozenset[tuple[str, bytes | None]]


@dataclass
class Stops:
    """Copies of a folder, each as a process would leave it that ends just before an operation.

    Operations that change nothing, as far as others can see, share one copy.

    A process that is killed loses what it has not written yet, and its locks. That is what another
    process sees, and copies, while this one stands still.
    """

    base: Path
    copies: Path
    operations: list[str] = field(default_factory=list)
    states: dict[Tree, Path] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        sys.setprofile(self._called)
        try:
            yield
        finally:
            sys.setprofile(None)
        self._copy("end")

    def _called(self, frame: FrameType, event: str, function: Any) -> None:
        if event != "c_call":
            return
        name, owner = function.__name__, getattr(function, "__self__", None)
        in_files = isinstance(owner, io.IOBase) and name in METHODS
        if in_files or name in OPERATIONS.get(function.__module__ or "", ()):
            self._copy(name)

    def _copy(self, operation: str) -> None:
        self.operations.append(operation)
        tree = tree_of(self.base)
        if tree not in self.states:
            copy = self.copies / str(len(self.states))
            self.states[tree] = Path(shutil.copytree(self.base, copy))


def tree_of(folder: Path) -> Tree:
    """All that lies in a folder, with the contents of files."""
    return frozenset(
        (str(path), path.read_bytes() if path.is_file() else None) for path in folder.rglob("*")
    )


def files_of(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def check_restarted(base: Path, meanings: dict[str, str]) -> str:
    """Start on what was left; the active version, whole, decides, and nothing else is there."""
    store = open_store(base)
    contract = read_contracts(base).served()
    live = LoopedLive(store, contract)
    try:
        live.start()
        name = live.current().name
        assert (name, live.deviation) == (store.active(), None)
        (observation,) = random_observations(contract.schema, 1, seed=1)
        meaning = live.decide(observation, "mode")["meaning"]
        assert meaning.startswith(meanings[name])
    finally:
        live.close()
    assert {path.name for path in base.iterdir()} <= KNOWN
    assert not any(path.is_file() for path in (base / "workers").rglob("*"))
    assert list((base / "staging").iterdir() if (base / "staging").is_dir() else ()) == []
    for folder in (base / "versions").iterdir():
        manifest = store.manifest(folder.name)
        assert store.damage(folder.name) is None
        assert files_of(folder) == {Path("manifest.json"), *map(Path, manifest.files)}
    return name


def upload_part(publisher: Publisher) -> str:
    return publisher.upload({Part.OUTPUT_MAPPER: io.BytesIO(MAPPER)}).version


def publish_another_schema(publisher: Publisher) -> str:
    parts = {
        Part.MODEL: io.BytesIO(linear_onnx(4, 4)),
        Part.PREPROCESSOR: io.BytesIO(PREPROCESSOR),
        Part.OUTPUT_MAPPER: io.BytesIO(MAPPER),
    }
    return publisher.publish(Bundle(parts, WIDER.schema.text.encode())).version


def publish_another_description(publisher: Publisher) -> str:
    parts = {
        Part.MODEL: io.BytesIO(linear_onnx(3, 4)),
        Part.OUTPUT_MAPPER: io.BytesIO(MAPPER),
    }
    schema = f"# described in other words\n{CONTRACT.schema.text}"
    return publisher.publish(Bundle(parts, schema.encode())).version


@pytest.mark.parametrize(
    "upload", [upload_part, publish_another_schema, publish_another_description]
)
def test_whenever_an_upload_stops_a_whole_version_is_active(
    tmp_path: Path, upload: Callable[[Publisher], str]
) -> None:
    base = tmp_path / "base"
    publisher = Publisher(open_store(base), kept_contracts(CONTRACT, base), BuildLimits())
    old = {
        Part.MODEL: io.BytesIO(linear_onnx(3, 4)),
        Part.PREPROCESSOR: io.BytesIO(PREPROCESSOR),
        Part.OUTPUT_MAPPER: io.BytesIO(MAPPER.replace(b"new", b"old")),
    }
    first = publisher.publish(Bundle(old)).version
    stops = Stops(base, tmp_path / "stops")
    with stops.watching():
        second = upload(publisher)
    meanings = {first: "old ", second: "new "}
    assert len(stops.operations) >= 100
    assert {"rename", "fsync", "write", "mkdir", "flock"} <= set(stops.operations)
    assert len(stops.states) >= 20
    active = [check_restarted(copy, meanings) for copy in stops.states.values()]
    assert active == sorted(active, key=[first, second].index), "it changes once"
    assert set(active) == {first, second}
