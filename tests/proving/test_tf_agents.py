"""What PolicySaver writes beside a SavedModel says what its actions are."""

import io
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from tensorflow.python.framework import tensor_spec
from tensorflow.python.saved_model import nested_structure_coder

from examples.quiet_tensorflow import tf
from policy_server.proving.archive import unpack_saved_model
from policy_server.proving.description import Description
from policy_server.proving.limits import BuildLimits
from policy_server.proving.tf_agents import read_specs
from tests.proving.conftest import CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.saved_models import Input, save, weights

INPUTS = (Input("0/step_type", "int32"), Input("0/reward"), Input("0/discount"))
LOW, HIGH = [-1.0, 0.0], [1.0, 0.5]


def specs(action: Any) -> str:
    """The text that PolicySaver writes, made by TensorFlow's own coder as PolicySaver does."""

    Trajectory = namedtuple("Trajectory", ["step_type", "observation", "action"])
    seen = tensor_spec.BoundedTensorSpec([3], tf.float32, -4.8, [1.0, 2.0, 3.4e38], "observation")
    step = tf.TensorSpec([], tf.int32, "step_type")
    whole = {"collect_data_spec": Trajectory(step, seen, action), "policy_state_spec": ()}
    return str(text_format.MessageToString(nested_structure_coder.encode_structure(whole)))


REAL = tensor_spec.BoundedTensorSpec([2], tf.float32, LOW, HIGH, "throttle")


def saved(path: Path, text: str, width: int = 2) -> bytes:
    """A zip of a policy whose action is real numbers, with specs beside it."""

    def act(x: Any, w: Any, **_: Any) -> dict[str, Any]:
        return {"action": tf.tanh(x @ w)}

    model = save(path, act, [weights(width)], inputs=INPUTS, signature="action")
    packed = io.BytesIO(model.read_bytes())
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("policy_specs.pbtxt", text)
    return packed.getvalue()


def test_real_actions_are_read_without_a_declaration(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = saved(tmp_path / "m", specs(REAL))
    contract = contract_of(actions="{a: {type: float, minimum: -1, maximum: 1}, b: {type: float}}")
    candidate = candidate_of(contract, model=model)
    report = candidate.assemble()
    assert report.ready, report
    told = detail(report, "engine")
    assert "by policy_specs.pbtxt its action is float32 [2] from -1 to 1, 0 to 0.5" in told
    assert "where the schema declares other bounds" in told
    rows = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    found = candidate.network.load_engine(candidate.folder / "model").run(rows)
    np.testing.assert_allclose(found, np.tanh(rows @ weights(2)), atol=1e-5)


def test_bounds_that_agree_are_no_contradiction(candidate_of: CandidateOf, tmp_path: Path) -> None:
    actions = (
        "{a: {type: float, minimum: -1, maximum: 1}, b: {type: float, minimum: 0, maximum: 0.5}}"
    )
    candidate = candidate_of(contract_of(actions=actions), model=saved(tmp_path / "m", specs(REAL)))
    assert "other bounds" not in detail(candidate.assemble(), "engine")


def test_what_is_declared_against_the_specs_is_refused(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = saved(tmp_path / "m", specs(REAL))
    report = candidate_of(
        contract_of(discrete=False), model=model, description="reads: mean_log_std"
    ).assemble()
    assert "policy_specs.pbtxt" in (report.rejected or "")
    assert "leave `reads` out" in (report.rejected or "")


@pytest.mark.parametrize("text", ["", "dict_value {", "}" * 9, "a {" * 500, 'b: "\\777"', "\0"])
def test_specs_that_are_not_sound_say_nothing(
    candidate_of: CandidateOf, tmp_path: Path, text: str
) -> None:
    (tmp_path / "policy_specs.pbtxt").write_text(text, encoding="utf-8")
    assert read_specs(tmp_path).metadata == {}


def test_specs_of_any_structure_are_read(tmp_path: Path) -> None:
    number = tensor_spec.BoundedTensorSpec([], tf.int64, 0, 8, "gear")
    free = tf.TensorSpec([2, 2], tf.float64, "free")
    (tmp_path / "policy_specs.pbtxt").write_text(
        specs({"gear": number, "both": (REAL, free)}), encoding="utf-8"
    )
    found = read_specs(tmp_path)
    assert found.metadata == {
        "action 0": "`throttle`, float32 [2] from -1 to 1, 0 to 0.5",
        "action 1": "`free`, float64 [2, 2]",
        "action 2": "`gear`, int64 [] from 0 to 8",
        "observation": "`observation`, float32 [3] from -4.8 to 1, -4.8 to 2, -4.8 to 3.4e+38",
    }
    nothing = Description()
    assert found.bounds is None
    assert found.described(["action"], nothing) is nothing


def test_the_specs_are_unpacked_with_the_model(tmp_path: Path) -> None:
    (tmp_path / "m.zip").write_bytes(saved(tmp_path / "m", specs(REAL)))
    unpack_saved_model(tmp_path / "m.zip", tmp_path / "unpacked", BuildLimits())
    assert read_specs(tmp_path / "unpacked").bounds == [(-1.0, 1.0), (0.0, 0.5)]
