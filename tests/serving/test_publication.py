"""Parts become versions in whatever order they come; what cannot serve changes nothing."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_server.contract.contract import Contract
from policy_server.errors import UploadRejected
from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.limits import ServingLimits
from policy_server.serving.loading import load_version
from policy_server.serving.publication import Publisher
from policy_server.serving.version_report import VersionReport
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from tests.serving.conftest import make_version
from tests.support.contracts import contract_of, kept_contracts
from tests.support.networks import linear_onnx
from tests.support.policies import predict

VARYING = contract_of(varying=True)
MAPPER = b"{0: up, 1: down, 2: left, 3: right}"
Files = dict[Path, tuple[bytes, int]]


def takes(count: int, first: float = 1.0) -> bytes:
    """A preprocessor that makes so many features."""
    return f"def preprocess(observation):\n    return [{first}] * {count}\n".encode()


class Desk:
    """Uploads to one store, and sees to it that nothing committed ever changes."""

    def __init__(self, base: Path, contract: Contract = VARYING) -> None:
        self.base = base
        self.store = open_store(base)
        self.contract = contract
        contracts = kept_contracts(contract, base)
        self.publisher = Publisher(self.store, contracts, BuildLimits(preprocessor_seconds=2))
        self.committed: Files = {}

    def upload(self, part: Part, content: bytes) -> VersionReport:
        try:
            return self.publisher.upload({part: io.BytesIO(content)})
        finally:
            self.check_files()

    def rejection(self, part: Part, content: bytes) -> str:
        before = (self.store.names(), self.store.active(), self.store.candidate())
        with pytest.raises(UploadRejected) as caught:
            self.upload(part, content)
        assert (self.store.names(), self.store.active(), self.store.candidate()) == before
        return str(caught.value)

    def check_files(self) -> None:
        found: Files = {
            path: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in (self.base / "versions").rglob("*")
            if path.is_file()
        }
        assert found.items() >= self.committed.items()
        self.committed = found
        assert list((self.base / "staging").iterdir()) == []

    def parts(self, name: str | None) -> set[str]:
        assert name is not None
        return set(self.store.manifest(name).parts)

    def decides(self) -> str:
        """The active version, which can be loaded and decide."""
        name = self.store.active()
        assert name is not None
        version = asyncio.run(load_version(self.store, name, self.contract, ServingLimits()))
        assert predict(version.policy, [{"x": [1.0, 2.0, 3.0]}])
        return name


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "base")
    yield desk
    desk.check_files()


def missing(report: VersionReport) -> str:
    return "; ".join(check.detail for check in report.checks if not check.passed)


def test_the_model_may_come_first(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "base", contract_of(3))
    first = desk.upload(Part.MODEL, linear_onnx(5, 4))
    assert first.state == "incomplete"
    assert "the schema makes 3 features, the network takes 5: upload a preprocessor" in missing(
        first
    )
    assert (desk.store.active(), desk.store.candidate()) == (None, first.version)
    second = desk.upload(Part.PREPROCESSOR, takes(5))
    assert second.state == "active"
    assert desk.decides() == second.version
    assert desk.store.candidate() is None
    third = desk.upload(Part.OUTPUT_MAPPER, MAPPER)
    assert third.state == "active"
    assert desk.parts(desk.decides()) == {"model", "preprocessor", "output_mapper"}


def test_the_preprocessor_may_come_first(desk: Desk) -> None:
    first = desk.upload(Part.PREPROCESSOR, takes(5))
    assert (first.state, missing(first)) == ("incomplete", "no model yet: upload one")
    second = desk.upload(Part.MODEL, linear_onnx(5, 4))
    assert second.state == "active"
    assert desk.parts(desk.decides()) == {"model", "preprocessor"}


def test_the_mapper_may_come_first(desk: Desk) -> None:
    assert desk.upload(Part.OUTPUT_MAPPER, MAPPER).state == "incomplete"
    assert desk.upload(Part.PREPROCESSOR, takes(5)).state == "incomplete"
    assert desk.upload(Part.MODEL, linear_onnx(5, 4)).state == "active"
    assert desk.parts(desk.decides()) == {"model", "preprocessor", "output_mapper"}


def test_a_model_of_another_width_waits_while_the_old_one_decides(desk: Desk) -> None:
    desk.upload(Part.PREPROCESSOR, takes(5))
    active = desk.upload(Part.MODEL, linear_onnx(5, 4)).version
    waiting = desk.upload(Part.MODEL, linear_onnx(7, 4))
    assert waiting.state == "incomplete"
    assert "makes 5 features, the network takes 7" in missing(waiting)
    assert desk.decides() == active
    assert desk.parts(waiting.version) == {"model"}
    right = desk.upload(Part.PREPROCESSOR, takes(7))
    assert right.state == "active"
    assert desk.decides() == right.version


def test_an_abandoned_candidate_is_in_nobodys_way(desk: Desk) -> None:
    desk.upload(Part.PREPROCESSOR, takes(5))
    desk.upload(Part.MODEL, linear_onnx(5, 4))
    desk.upload(Part.MODEL, linear_onnx(7, 4))
    better = desk.upload(Part.PREPROCESSOR, takes(5, 2.0))
    assert better.state == "active"
    assert desk.decides() == better.version
    model = desk.upload(Part.MODEL, linear_onnx(5, 4, seed=3))
    assert model.state == "active"
    assert desk.decides() == model.version


def test_a_model_of_the_active_width_needs_nothing_while_another_waits(desk: Desk) -> None:
    desk.upload(Part.PREPROCESSOR, takes(5))
    desk.upload(Part.MODEL, linear_onnx(5, 4))
    desk.upload(Part.MODEL, linear_onnx(7, 4))
    assert desk.upload(Part.MODEL, linear_onnx(5, 4, seed=3)).state == "active"
    assert desk.store.candidate() is None


def test_a_new_model_keeps_the_parts_that_fit(desk: Desk) -> None:
    for part, content in (
        (Part.PREPROCESSOR, takes(5)),
        (Part.OUTPUT_MAPPER, MAPPER),
        (Part.MODEL, linear_onnx(5, 4)),
    ):
        desk.upload(part, content)
    active = desk.decides()
    waiting = desk.upload(Part.MODEL, linear_onnx(5, 6))
    assert (waiting.state, desk.decides()) == ("incomplete", active)
    assert desk.parts(waiting.version) == {"model", "preprocessor"}
    six = str({action: f"a{action}" for action in range(6)}).encode()
    assert desk.upload(Part.OUTPUT_MAPPER, six).state == "active"
    assert desk.parts(desk.decides()) == {"model", "preprocessor", "output_mapper"}


@pytest.mark.parametrize(
    ("part", "content", "told"),
    [
        (Part.MODEL, b"PK\x03\x04 no zip", "not a sound zip"),
        (Part.MODEL, b"", "empty"),
        (Part.PREPROCESSOR, b"1 / 0", "ZeroDivisionError"),
        (Part.PREPROCESSOR, takes(4), "makes 4 features, the network takes 5"),
        (Part.PREPROCESSOR, b"import os\nos._exit(7)", "exit code 7"),
        (Part.PREPROCESSOR, b"while True: pass", "within 2 seconds"),
        (Part.OUTPUT_MAPPER, b"{0: a, 1: b}", "no meaning for action 2, 3"),
        (Part.OUTPUT_MAPPER, b"[", "not YAML"),
    ],
)
def test_what_cannot_serve_changes_nothing(
    desk: Desk, part: Part, content: bytes, told: str
) -> None:
    make_version(desk.store, VARYING, model=linear_onnx(5, 4), preprocessor=takes(5))
    active = desk.decides()
    assert told in desk.rejection(part, content)
    assert desk.decides() == active


def test_the_first_upload_may_be_rejected_too(desk: Desk) -> None:
    assert "ZeroDivisionError" in desk.rejection(Part.PREPROCESSOR, b"1 / 0")
    assert desk.store.names() == []


def test_continuous_actions_take_no_mapper(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "base", contract_of(3, discrete=False))
    assert "takes no output mapper" in desk.rejection(Part.OUTPUT_MAPPER, MAPPER)


def test_parts_proven_against_another_contract_are_not_carried_over(tmp_path: Path) -> None:
    base = tmp_path / "base"
    old = make_version(
        open_store(base), contract_of(3), preprocessor=takes(3), output_mapper=MAPPER
    )
    desk = Desk(base, contract_of(4))
    model = desk.upload(Part.MODEL, linear_onnx(4, 4))
    assert model.state == "active"
    assert desk.parts(model.version) == {"model"}
    assert desk.store.names()[0] == old


@pytest.mark.parametrize("damage", ["manifest.json", "preprocessor"])
def test_a_damaged_active_version_is_no_hindrance(desk: Desk, damage: str) -> None:
    name = make_version(desk.store, VARYING, model=linear_onnx(5, 4), preprocessor=takes(5))
    lost = desk.store.folder(name) / damage
    lost.rename(desk.base / "lost")
    assert desk.upload(Part.MODEL, linear_onnx(5, 4)).state == "incomplete"
    assert desk.upload(Part.PREPROCESSOR, takes(5)).state == "active"
    desk.decides()


def test_the_parts_of_a_version_are_those_of_the_one_before(desk: Desk) -> None:
    make_version(desk.store, VARYING, model=linear_onnx(5, 4), preprocessor=takes(5))
    old = desk.decides()
    new = desk.upload(Part.OUTPUT_MAPPER, MAPPER).version
    for name in ("model/upload", "model/network.onnx", "preprocessor/preprocessor.py"):
        before, after = (desk.store.folder(version) / name for version in (old, new))
        assert before.read_bytes() == after.read_bytes()
        assert before.stat().st_ino != after.stat().st_ino  # one fault spoils one version


def bundle(schema: bytes | None = None, **parts: bytes) -> Bundle:
    return Bundle({Part(name): io.BytesIO(content) for name, content in parts.items()}, schema)


def test_a_whole_policy_is_published_at_once(desk: Desk) -> None:
    make_version(desk.store, VARYING, model=linear_onnx(5, 4), preprocessor=takes(5))
    steps: list[str] = []
    whole = bundle(model=linear_onnx(7, 4), preprocessor=takes(7))
    report = desk.publisher.publish(whole, steps.append)
    assert report.state == "active"
    assert desk.decides() == report.version
    assert desk.parts(report.version) == {"model", "preprocessor"}
    assert steps[0] == "drawing random valid observations"
    assert "reading the ONNX file" in steps
    assert "running the preprocessor on random observations" in steps


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"model": linear_onnx(7, 4)}, "no fixed size"),
        ({"preprocessor": takes(7)}, "no model yet"),
        ({"model": linear_onnx(7, 4), "preprocessor": takes(6)}, "makes 6 features"),
        (
            {"model": linear_onnx(7, 4), "preprocessor": takes(7), "output_mapper": b"{0: a}"},
            "no meaning for action 1, 2, 3",
        ),
    ],
)
def test_a_policy_that_is_not_whole_is_not_published(
    desk: Desk, parts: dict[str, bytes], told: str
) -> None:
    make_version(desk.store, VARYING, model=linear_onnx(5, 4), preprocessor=takes(5))
    before = desk.decides()
    with pytest.raises(UploadRejected, match=told):
        desk.publisher.publish(bundle(**parts))
    assert (desk.decides(), desk.store.names()) == (before, [before])


def test_a_check_leaves_nothing_behind(desk: Desk) -> None:
    sound = bundle(model=linear_onnx(7, 4), preprocessor=takes(7))
    assert desk.publisher.check(sound, lambda _: None).ready
    unsound = bundle(model=linear_onnx(7, 4), preprocessor=takes(6))
    assert "6 features" in (desk.publisher.check(unsound, lambda _: None).rejected or "")
    ended = bundle(preprocessor=b"import os; os._exit(3)")
    assert "exit code 3" in (desk.publisher.check(ended, lambda _: None).rejected or "")
    assert (desk.store.names(), desk.store.active(), desk.store.candidate()) == ([], None, None)
    left = {path.name for path in desk.base.rglob("*") if path.is_file()}
    assert left == {"lock", "contract.json", "format"}
