"""Files of TorchScript and torch.export compute, as ONNX, what PyTorch computed by them.

tests/files/torch/make.py made the files, and wrote down what PyTorch made of some observations.
"""

import io
import json
import os
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from policy_server.contract.actions import ActionSettings, ActionSpace
from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.onnx_session import open_session
from policy_server.proving.description import Description
from policy_server.proving.known_features import FieldFeatures, KnownFeatures
from policy_server.proving.limits import BuildLimits
from policy_server.proving.readers.reader import ModelUpload
from policy_server.proving.readers.registry import converted
from policy_server.proving.torch_programs.operators import OPERATORS
from tests.proving.conftest import CandidateOf, detail
from tests.support.contracts import contract_of

FILES = Path(__file__).parents[1] / "files" / "torch"
REFUSED = ("drawing", "deciding", "overwriting", "keeping")
WITH_MEMORY = (
    "recurrent",
    "counting",
    *(f"memory_{each}" for each in ("explicit", "kept", "cells")),
)
"""They have a file of their own: `test_torch_memory.py`."""
SERVED = sorted(
    path.name
    for path in FILES.iterdir()
    if path.suffix in (".pt", ".pt2")
    and not path.stem.startswith((*REFUSED, *WITH_MEMORY))
    and not path.name.startswith("plain")
)
WAYS = ("_traced", "_frozen", "_decomposed", "_one_row")
TOLERANCE = 1e-5
OPERATOR = re.compile(r"\b(?:torch|ops\.aten)\.(\w+)\(")


def expected(file: str) -> dict[str, NDArray[Any]]:
    """What PyTorch computed, by the names of outputs, and the features that it computed it of."""
    name = file.partition(".")[0]
    for way in WAYS:
        name = name.removesuffix(way)
    with np.load(FILES / "expected.npz") as arrays:
        return {key.partition("/")[2]: arrays[key] for key in arrays if key.startswith(f"{name}/")}


def known_features(features: NDArray[Any]) -> KnownFeatures:
    """What a schema of one array would tell."""
    width = int(np.prod(features.shape[1:]))
    field = FieldFeatures(range(width), features.shape[1:])
    return KnownFeatures({"x": field}, lambda: features.reshape(len(features), -1))


def computed(file: Path, folder: Path, features: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What the file's conversion computes, by the names of its outputs."""
    upload = ModelUpload(
        file,
        folder,
        contract_of(3, discrete=False),
        Description(),
        BuildLimits(),
        lambda _: None,
        known_features(features),
    )
    with converted(upload) as (made, _):
        session = open_session(made.file)
        (taken,) = session.get_inputs()
        names = [each.name for each in session.get_outputs()]
        rows = len(features) if isinstance(taken.shape[0], str) else taken.shape[0]
        parts = [features[start : start + rows] for start in range(0, len(features), rows)]
        found = [session.run(names, {taken.name: part}) for part in parts]
    return {
        name: np.concatenate([part[place] for part in found]) for place, name in enumerate(names)
    }


@pytest.mark.parametrize("file", SERVED)
def test_a_program_computes_what_pytorch_computes(file: str, tmp_path: Path) -> None:
    right = expected(file)
    features = right.pop("features")
    found = computed(FILES / file, tmp_path, features)
    if len(right) == 1 and set(right) != set(found):
        found = {next(iter(right)): found["output"]}  # PyTorch kept no name of it
    assert set(found) == set(right)
    for name, array in right.items():
        assert found[name].shape == array.shape
        np.testing.assert_allclose(found[name], array, rtol=TOLERANCE, atol=TOLERANCE)


def operators_of(file: Path) -> set[str]:
    """Names of the operators that a file asks for."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    found: set[str] = set()
    for name, content in members.items():
        if name.endswith(".py"):
            found |= set(OPERATOR.findall(content.decode()))
        elif name.endswith("models/model.json"):
            nodes = json.loads(content)["graph_module"]["graph"]["nodes"]
            found |= {node["target"].split(".")[3] for node in nodes if "aten" in node["target"]}
    return {name if name in OPERATORS else name.removesuffix("_") for name in found}


def test_every_operator_is_in_a_file_that_pytorch_computed() -> None:
    recurrent = [path.name for path in FILES.glob("memory_*.pt*")]
    used = set().union(*(operators_of(FILES / file) for file in (*SERVED, *recurrent)))
    assert sorted(set(OPERATORS) - used) == []


def refusal(candidate_of: CandidateOf, model: Path | bytes) -> str:
    report = candidate_of(contract_of(3, discrete=False), model=model).assemble()
    assert report.rejected is not None
    return report.rejected


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("keeping.pt", ("changes an array in place, and uses another view of it",)),
        ("overwriting.pt", ("changes an array in place, and uses another view of it",)),
        ("counting.pt2", ("carries `count` from step to step, one for all of 2",)),
        ("drawing.pt", ("draws numbers at random (`multinomial`)", "logits")),
        ("deciding.pt", ("takes the numbers of an observation for a decision of its code",)),
    ],
)
def test_what_one_observation_does_not_tell_is_refused_by_name(
    candidate_of: CandidateOf, file: str, words: tuple[str, ...]
) -> None:
    message = refusal(candidate_of, FILES / file)
    for word in (*words, "torch.onnx.export("):
        assert word in message
    compile(message.partition("\n\n")[2], "advice", "exec")


def changed(file: str, member: str, content: bytes | tuple[bytes, bytes]) -> bytes:
    """A file with another content of the member whose name ends so, or with bytes replaced."""
    packed = io.BytesIO()
    with zipfile.ZipFile(FILES / file) as old, zipfile.ZipFile(packed, "w") as new:
        sought = content[0] if isinstance(content, tuple) else b""
        name = next(
            each for each in old.namelist() if each.endswith(member) and sought in old.read(each)
        )
        for each in old.namelist():
            kept = old.read(each)
            if each == name and isinstance(content, tuple):
                kept = kept.replace(*content)
            elif each == name and isinstance(content, bytes):
                kept = content
            new.writestr(each, kept)
    return packed.getvalue()


class Attack:
    """Runs a command when its pickle is loaded."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self._command,)


@pytest.mark.parametrize("member", ["data.pkl", "constants.pkl"])
def test_what_a_pickle_would_run_is_named_and_not_run(
    candidate_of: CandidateOf, tmp_path: Path, member: str
) -> None:
    ran = tmp_path / "ran"
    pickled = pickle.dumps(Attack(f"touch {ran}"), 2)
    message = refusal(candidate_of, changed("cleanrl.pt", f"/{member}", pickled))
    assert "posix.system" in message
    assert not ran.exists()


LINE = b"weight = self.weight"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"import os", "a statement (Import)"),
        (b"weight = open('/etc/passwd')", "`open` is not read"),
        (b"weight = __import__('os').system('true')", "`__import__` is not read"),
        (b"weight = self.__class__", "asks for `__class__`"),
        (b"weight = torch.ops.load_library('x')", "`torch.ops.load_library` is not read"),
        (b"weight = torch.zeros([100000, 100000, 10])", "an array of the shape"),
        (b"weight = torch.special_bessel_j0(self.weight)", "`special_bessel_j0` is not read"),
        (b"weight = (self).forward(input, )", "over and over"),
        (b"weight = [each for each in [1]]", "an expression (ListComp)"),
        (b"weight = 9 ** 9 ** 9 ** 9", "an expression (BinOp)"),
        (b"weight = CONSTANTS.c99999999999999999999", "is not there"),
        (b"weight = torch.linear(input)", "`linear` cannot be computed"),
        (b"while True:\n      pass", "more than 200000 steps"),
        (b"self.weight = input", "it changes what it keeps"),
        (b"self.training = input", "keeps `training`"),
        (b"weight = torch.add_(self.weight, 1.0)", "it changes what it keeps"),
        (b"weight =", "cannot be read"),
        (b"weight = " + b"(" * 3000 + b")" * 3000, "cannot be read"),
    ],
)
def test_code_is_followed_and_never_executed(
    candidate_of: CandidateOf, line: bytes, words: str
) -> None:
    model = changed("legged_gym.pt", ".py", (LINE, line))
    assert words in refusal(candidate_of, model)


@pytest.mark.parametrize(
    ("member", "content", "words"),
    [
        ("model.json", b"{}", "not as torch.export writes it"),
        ("model.json", b"[" * 100_000, "nested too deeply"),
        ("model.json", (b"aten.linear", b"aten.lstm"), "`lstm` cannot be computed"),
        ("model.json", (b"torch.ops.aten.tanh", b"torch.ops.mine.tanh"), "`torch.ops.mine.tanh"),
        ("model_weights_config.json", (b'"use_pickle": false', b'"use_pickle": true'), "a pickle"),
        ("model_weights_config.json", (b'"as_int": 8', b'"as_int": 9'), "only 40 numbers"),
    ],
)
def test_a_graph_that_is_not_sound_is_refused(
    candidate_of: CandidateOf, member: str, content: bytes | tuple[bytes, bytes], words: str
) -> None:
    assert words in refusal(candidate_of, changed("cleanrl.pt2", f"/{member}", content))


def test_the_width_is_that_of_the_network_and_not_of_the_schema(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(
        contract_of(7, discrete=False), model=FILES / "legged_gym.pt", description="reads: means"
    )
    told = detail(candidate.assemble(), "width")
    assert "7 features" in told
    assert "takes 6" in told


def test_means_of_a_robot_are_served_once_they_are_declared(candidate_of: CandidateOf) -> None:
    contract, model = contract_of(6, discrete=False), FILES / "isaac_lab.pt"
    report = candidate_of(contract, model=model).assemble()
    assert not report.ready
    assert "`reads: means`" in detail(report, "reading")
    named = contract_of(6, actions="{a: {type: float}, b: {type: float}, c: {type: float}}")
    assert candidate_of(named, model=model).assemble().ready
    candidate = candidate_of(contract, model=model, description="reads: means")
    report = candidate.assemble()
    assert report.ready, report
    assert "converted from TorchScript" in detail(report, "engine")
    right = expected("isaac_lab.pt")
    found = OnnxEngine(candidate.folder / "model" / "network.onnx").run(right["features"])
    np.testing.assert_allclose(found, right["output"], atol=TOLERANCE)


def test_golden_cases_of_an_onnx_export_agree(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(
        contract_of(5, discrete=False),
        model=FILES / "cleanrl.onnx",
        golden=FILES / "cleanrl.npz",
    )
    report = candidate.assemble()
    assert report.ready, report
    assert candidate.network.sizes == (2,)
    assert "20 golden cases" in detail(report, "golden cases")


def test_the_shape_of_an_image_is_asked_for(candidate_of: CandidateOf) -> None:
    message = refusal(candidate_of, FILES / "image.pt")
    assert "nothing tells their shape: trace or export it" in message


def test_an_image_of_the_schema_gives_scripted_code_its_shape(candidate_of: CandidateOf) -> None:
    text = (
        "observations:\n  image:\n    type: array\n    min_items: 2\n    max_items: 2\n"
        "    items: {type: array, min_items: 8, max_items: 8, items: {type: array, min_items: 8, "
        "max_items: 8, items: {type: float}}}\n"
    )
    schema = read_schema(text)
    contract = Contract(schema, ActionSpace.of(ActionSettings(discrete=False, tuple=True)))
    candidate = candidate_of(contract, model=FILES / "image.pt", description="reads: means")
    report = candidate.assemble()
    assert report.ready, report
    right = expected("image.pt")
    flat = right["features"].reshape(len(right["features"]), -1)
    found = OnnxEngine(candidate.folder / "model" / "network.onnx").run(flat)
    np.testing.assert_allclose(found, right["output"], atol=TOLERANCE)


WEIGHTS = np.arange(8).reshape(2, 4) / 10
PLAIN = sorted(path.name for path in FILES.glob("plain*"))
PARTS = (
    'observations:\n  near: {type: "List[float]", min_items: 3, max_items: 3}\n'
    "  far: {type: float}\n"
)


@pytest.mark.parametrize("file", PLAIN)
def test_inputs_of_every_type_and_shape_are_served(candidate_of: CandidateOf, file: str) -> None:
    text = PARTS if "two_inputs" in file else None
    contract = contract_of(4, discrete=False)
    if text is not None:
        contract = Contract(read_schema(text), contract.actions)
    candidate = candidate_of(contract, model=FILES / file, description="reads: means")
    report = candidate.assemble()
    assert report.ready, report
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    engine = candidate.network.load_engine(candidate.folder / "model")
    np.testing.assert_allclose(engine.run(rows), rows @ WEIGHTS.T, atol=TOLERANCE)


def test_inputs_of_unknown_width_are_asked_for(candidate_of: CandidateOf) -> None:
    message = refusal(candidate_of, FILES / "plain_two_inputs.pt")
    assert "2 inputs (`near`, `far`)" in message
