"""Policies that strangers published: served as what they are, asked about, or refused by name.

One row of RIGHT a policy. What is undeclared is uploaded under every kind of contract; if it then
decides, it decides as its golden values say. What is asked is answered, and then decides so too.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from policy_server.contract.contract import Contract
from policy_server.errors import UploadRejected
from policy_server.policy.output_mapper import OutputMapper
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor
from policy_server.proving.limits import BuildLimits
from policy_server.serving.publication import Publisher
from policy_server.serving.version_report import VersionReport
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from policy_server.version.version_parts import read_network
from tests.support.contracts import contract_of, kept_contracts
from tests.support.corpus import CORPUS
from tests.support.policies import distributions, predict_deterministic

WILD = CORPUS / "wild"
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Served:
    """A policy that is served.

    Attributes:
        reads: How its output is read.
        output: Which array of the golden values that is.
        heads: Actions of each head, where actions are numbered and logits tell of them.
        asked: What the question must offer; empty where none is asked.
        named: The output must be named as well.
    """

    reads: str
    output: str
    heads: tuple[int, ...] = ()
    asked: tuple[str, ...] = ()
    named: bool = False

    @property
    def discrete(self) -> bool:
        return self.reads in ("logits", "probabilities", "values", "numbers", "draws")


NUMBERED = ("reads: logits", "reads: values", "reads: costs")
EVEN, ODD = ("reads: means", "reads: mean_log_std"), ("reads: means",)
RIGHT: dict[str, Served] = {
    "godot-3dlander": Served("logits", "output", (2,) * 7, NUMBERED),
    "godot-airhockey": Served("means", "output", (), EVEN),
    "godot-ballchase": Served("means", "output", (), EVEN),
    "godot-crosstheroad": Served("logits", "output", (5,), NUMBERED),
    "godot-defendthegoal": Served("logits", "output", (3, 2), NUMBERED),
    "godot-itemsortingcart": Served("means", "output", (), ODD),
    "godot-jumperhard": Served("means", "output", (), ODD),
    "godot-multiagent-player-rllib": Served("mean_log_std", "output", (), EVEN),
    "godot-warehouse": Served("means", "output", (), EVEN),
    "isaac-ogre": Served("means", "actions", (), EVEN),
    "rllib-docking-deterministic": Served("means", "postprocess_filter_std_clip", (), EVEN),
    "rllib-slime": Served("logits", "output", (6,), NUMBERED),
    "sb3-gymgodot-1d": Served("logits", "31", (6,), (*NUMBERED, "output: 31"), named=True),
    "td3-mapless-1d": Served("means", "action", (), EVEN),
    "tfagents-cartpole": Served("numbers", "action"),
    "unity-3dball": Served("means", "deterministic_continuous_actions"),
    "unity-basic": Served("draws", "deterministic_discrete_actions"),
    "tflite-planestrike": Served("probabilities", "Identity"),
    "booster-t1-pt": Served("means", "actions", (), EVEN),
    "sb3-zip-ppo-cartpole": Served("logits", "logits", (2,)),
    "sb3-zip-sac-pendulum": Served("squashed", "action"),
}
WITH_MEMORY = ["unity-hallway-lstm"]
"""They have a file of their own: `test_wild_memory.py`."""
KINDS = [(True, False), (True, True), (False, False), (False, True)]


def model_of(folder: Path) -> bytes:
    """What a person would upload of a folder."""
    saved_model = folder / "saved_model"
    if not saved_model.is_dir():
        (file,) = [each for each in folder.iterdir() if each.stem in ("policy", "model")]
        return file.read_bytes()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(saved_model.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()


@dataclass
class Desk:
    """Uploads to a store of its own."""

    base: Path
    contract: Contract

    def __post_init__(self) -> None:
        self.store = open_store(self.base)
        contracts = kept_contracts(self.contract, self.base)
        self._publisher = Publisher(self.store, contracts, BuildLimits())

    def upload(self, **parts: bytes) -> VersionReport:
        files = {Part(name): io.BytesIO(content) for name, content in parts.items()}
        return self._publisher.upload(files)

    def policy(self, name: str) -> Policy:
        folder = self.store.folder(name)
        network = read_network(folder, self.contract)
        engine = network.load_engine(folder / Part.MODEL)
        made = SchemaPreprocessor(self.contract.schema)
        return Policy(self.contract, network, engine, made, OutputMapper())


def golden_of(name: str) -> dict[str, NDArray[Any]]:
    with np.load(WILD / name / "golden.npz") as arrays:
        return {key: arrays[key] for key in arrays}


def observations_of(golden: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    candidates = [
        array.reshape(len(array), -1)
        for key, array in golden.items()
        if key.startswith("in:") and array.ndim > 1
    ]
    return candidates[0].astype(np.float32)


def contract_for(name: str, *, discrete: bool, tuple_: bool) -> Contract:
    width = observations_of(golden_of(name)).shape[1]
    return contract_of(width, discrete=discrete, tuple_=tuple_)


def mapper_of(heads: tuple[int, ...]) -> bytes:
    maps = [{action: f"a{action}" for action in range(size)} for size in heads]
    return str(maps if len(heads) > 1 else maps[0]).encode()


def assert_equal(policy: Policy, name: str, served: Served) -> None:
    golden = golden_of(name)
    observations = [{"x": row} for row in observations_of(golden).tolist()]
    output = golden[f"out:{served.output}"]
    output = output.reshape(len(observations), -1).astype(np.float64)
    decided = predict_deterministic(policy, observations)
    one_by_one = [predict_deterministic(policy, [each])[0] for each in observations]
    weighed = distributions(policy, observations)
    taken = np.array([answer.get("actions", [answer.get("action")]) for answer in decided])
    alone = np.array([answer.get("actions", [answer.get("action")]) for answer in one_by_one])
    np.testing.assert_allclose(taken, alone, atol=TOLERANCE)
    if served.reads == "numbers":
        np.testing.assert_array_equal(taken, output)
        assert {answer["probability"] for answer in decided} == {1.0}
    elif served.reads == "draws":
        rows = (golden["in:action_masks"] == 1).all(axis=1)
        np.testing.assert_array_equal(taken[rows], output[rows])
        assert all(0 < answer["probability"] < 1 for answer in decided)
    elif served.reads == "logits":
        splits = np.split(output, np.cumsum(served.heads)[:-1], axis=1)
        for head, logits in enumerate(splits):
            np.testing.assert_array_equal(taken[:, head], logits.argmax(axis=1))
            found = [answer["heads"][head]["probabilities"] for answer in weighed]
            np.testing.assert_allclose(found, special.softmax(logits, axis=1), atol=TOLERANCE)
    elif served.reads == "probabilities":
        np.testing.assert_array_equal(taken[:, 0], output.argmax(axis=1))
        found = [answer["heads"][0]["probabilities"] for answer in weighed]
        np.testing.assert_allclose(found, output, atol=TOLERANCE)
    elif served.reads == "squashed":
        np.testing.assert_allclose(taken, output, atol=TOLERANCE)
        assert all("density" in answer for answer in decided)
    else:
        half = output.shape[1] // (2 if served.reads == "mean_log_std" else 1)
        np.testing.assert_allclose(taken, output[:, :half], atol=TOLERANCE)
        deviations = [
            [each["standard_deviation"] for each in answer["dimensions"]] for answer in weighed
        ]
        drawn = served.reads == "mean_log_std"
        expected = np.exp(output[:, half:]) if drawn else np.zeros_like(output)
        np.testing.assert_allclose(deviations, expected, atol=TOLERANCE)
        assert all(("density" in answer) == drawn for answer in decided)
        assert all(("entropy" in answer) == drawn for answer in weighed)


CASES = list(RIGHT.items())


def test_every_policy_has_a_row() -> None:
    named = [*RIGHT, *WITH_MEMORY]
    assert sorted(named) == sorted(folder.name for folder in WILD.iterdir() if folder.is_dir())


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize(("discrete", "tuple_"), KINDS)
def test_undeclared_it_is_never_served_as_what_it_is_not(
    tmp_path: Path, name: str, discrete: bool, tuple_: bool
) -> None:
    right = RIGHT[name]
    desk = Desk(tmp_path, contract_for(name, discrete=discrete, tuple_=tuple_))
    try:
        report = desk.upload(model=model_of(WILD / name))
    except UploadRejected:  # by a contract of the other kind
        assert (discrete, tuple_) != (right.discrete, len(right.heads) > 1) or right.heads == ()
        return
    if report.state == "active":
        assert not right.asked, "it was guessed"
        assert_equal(desk.policy(report.version), name, right)
        return
    (question,) = [check.detail for check in report.checks if not check.passed]
    if discrete == right.discrete and right.asked:
        missing = [line for line in right.asked if line not in question]
        assert not missing, question


@pytest.mark.parametrize(("name", "served"), CASES)
def test_declared_it_is_served_exactly(tmp_path: Path, name: str, served: Served) -> None:
    tuple_ = len(served.heads) > 1
    desk = Desk(tmp_path, contract_for(name, discrete=served.discrete, tuple_=tuple_))
    parts = {"model": model_of(WILD / name)}
    if served.asked:
        assert desk.upload(**parts).state == "incomplete"
        output = f"output: '{served.output}'\n" if served.named else ""
        parts["description"] = f"{output}reads: {served.reads}\n".encode()
    report = desk.upload(**parts)
    if tuple_:
        assert report.state == "incomplete"
        report = desk.upload(output_mapper=mapper_of(served.heads))
    assert report.state == "active", report
    assert_equal(desk.policy(report.version), name, served)


DECLARED = {
    "godot-defendthegoal": ("{a: {type: str, enum: [x, y, z]}, b: {type: bool}}", "reads: logits"),
    "godot-3dlander": ('{a: {type: "List[bool]", min_items: 7, max_items: 7}}', "reads: logits"),
    "godot-airhockey": ('{a: {type: "List[float]", min_items: 2, max_items: 2}}', ""),
    "godot-multiagent-player-rllib": ("{a: {type: float}, b: {type: float}}", ""),
    "godot-itemsortingcart": ("{a: {type: float, minimum: -1, maximum: 1}}", ""),
    "rllib-docking-deterministic": ("{a: {type: float}, b: {type: float}}", ""),
    "isaac-ogre": ('{wheels: {type: "List[float]", min_items: 4, max_items: 4}}', ""),
    "unity-basic": ("{move: {type: str, enum: [left, stay, right]}}", ""),
}
"""Actions as a schema declares them, and the line of model.yaml that is needed beside."""


@pytest.mark.parametrize("name", DECLARED)
def test_declared_actions_tell_what_the_output_means(tmp_path: Path, name: str) -> None:
    actions, line = DECLARED[name]
    width = observations_of(golden_of(name)).shape[1]
    desk = Desk(tmp_path, contract_of(width, actions=actions))
    parts = {"model": model_of(WILD / name), **({"description": line.encode()} if line else {})}
    report = desk.upload(**parts)
    assert report.state == "active", report
    served = RIGHT[name]
    policy = desk.policy(report.version)
    assert_equal(policy, name, served)
    row = {"x": observations_of(golden_of(name))[0].tolist()}
    (answer,) = predict_deterministic(policy, [row])
    declared = desk.contract.actions.declared
    assert declared is not None
    assert list(answer["values"]) == list(declared.fields)


@pytest.mark.parametrize(("name", "served"), [case for case in CASES if case[1].asked])
def test_declared_as_of_the_other_kind_it_is_refused(
    tmp_path: Path, name: str, served: Served
) -> None:
    desk = Desk(tmp_path, contract_for(name, discrete=not served.discrete, tuple_=False))
    output = f"output: '{served.output}'\n" if served.named else ""
    described = f"{output}reads: {served.reads}\n".encode()
    with pytest.raises(UploadRejected, match=f"DISCRETE_ACTIONS={served.discrete}|value network"):
        desk.upload(model=model_of(WILD / name), description=described)
