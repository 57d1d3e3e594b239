"""Networks whose rows depend on each other, or on what ran before, are found; others pass."""

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from examples.quiet_tensorflow import tf
from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.timing import MAX_BATCH
from policy_server.proving.independence import ALONE, SECONDS, RowProof
from tests.proving.conftest import CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.networks import linear_onnx
from tests.support.saved_models import save, weights

RNG = np.random.default_rng(5)
KERNEL = RNG.standard_normal((6, 4)).astype(np.float32)
DEEP = [RNG.standard_normal(shape).astype(np.float32) for shape in ((6, 64), (64, 4))]
ROWS = np.concatenate([scale * RNG.standard_normal((64, 6)) for scale in (0.1, 1.0, 10.0)])
FEATURES = ROWS.astype(np.float32)
Run = Callable[[Floats], Floats]


def linear(x: Floats) -> Floats:
    out: Floats = x @ KERNEL
    return out


def normalised(x: Floats) -> Floats:
    hidden = x @ DEEP[0]
    with np.errstate(over="ignore", invalid="ignore"):
        hidden = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-3)
        out: Floats = hidden @ DEEP[1]
    return out


def softmax_over_the_batch(x: Floats) -> Floats:
    out = np.exp(np.clip(linear(x), -50, 50))
    shares: Floats = out / out.sum(axis=0, keepdims=True)
    return shares


def best_of_the_batch(x: Floats) -> Floats:
    out = linear(x)
    best: Floats = np.equal(out, out.max(axis=0)).astype(np.float32)
    return best


def dynamically_quantised(x: Floats) -> Floats:
    step = max(float(np.abs(x).max()), 1e-9) / 127
    return (np.round(x / step) * step).astype(np.float32) @ KERNEL


MIXING: dict[str, Run] = {
    "batch normalisation": normalised,
    "softmax over the batch": softmax_over_the_batch,
    "ranking": best_of_the_batch,
    "dynamic quantisation": dynamically_quantised,
    "mean": lambda x: linear(x - x.mean(axis=0)),
    "a little of the mean": lambda x: linear(x - 1e-3 * x.mean(axis=0)),
    "sums over rows before": lambda x: linear(np.cumsum(x, axis=0)),
    "the row before": lambda x: linear(x + 1e-3 * np.roll(x, 1, axis=0)),
    "the first row": lambda x: linear(x + 1e-3 * x[:1]),
    "the place in the batch": lambda x: linear(x) + np.float32(1e-2) * np.arange(len(x))[:, None],
    "the size of the batch": lambda x: linear(x) + np.float32(1e-3 * len(x)),
    "one row or more": lambda x: linear(x) + np.float32(len(x) == 1),
    "batches of a thousand": lambda x: linear(x) + np.float32(len(x) > 1000),
    "a pair": lambda x: linear(x) + np.float32(len(x) == 2),
    "norm of the batch, clipped": lambda x: linear(x / np.maximum(1e3, np.linalg.norm(x))),
    "large rows of others": lambda x: linear(x) + np.float32(np.abs(x).max() > 1e5),
}  # fmt: skip


@pytest.mark.parametrize("run", MIXING.values(), ids=MIXING)
def test_networks_that_mix_rows_are_found(run: Run) -> None:
    fault = RowProof(run, FEATURES).fault() or ""
    assert fault.startswith("depends on what else is run at the same time: number ")
    assert "of row" in fault
    assert "Export the network as it is when it decides on one observation" in fault


def half(x: Floats) -> Floats:
    hidden = np.maximum(x.astype(np.float16) @ DEEP[0].astype(np.float16), 0)
    return (hidden @ DEEP[1].astype(np.float16)).astype(np.float32)


def kernels_that_round_otherwise(run: Run) -> Run:
    """A network whose sums are added in another order for another number of rows."""

    def rounded(x: Floats) -> Floats:
        order = np.random.default_rng(len(x)).permutation(x.shape[1])
        hidden = np.zeros((len(x), 64), np.float32)
        for index in order:
            hidden += x[:, index : index + 1] * DEEP[0][index]
        return run(hidden)

    return rounded


def masked(x: Floats) -> Floats:
    out = linear(x)
    return np.where(out > 3, np.float32(-np.inf), np.where(x[:, :4] > 9, np.float32(np.nan), out))


SOUND: dict[str, Run] = {
    "linear": linear,
    "deep": lambda x: np.tanh(x @ DEEP[0]) @ DEEP[1],
    "normalised within a row": lambda x: linear(x - x.mean(axis=1, keepdims=True)),
    "softmax within a row": lambda x: np.exp(np.tanh(linear(x))),
    "masks and no numbers": masked,
    "constant": lambda x: np.zeros((len(x), 4), np.float32),
    "actions": lambda x: linear(x).argmax(axis=1)[:, None].astype(np.float32),
    "float16": half,
    "other kernels": kernels_that_round_otherwise(lambda hidden: np.tanh(hidden) @ DEEP[1]),
    "other kernels, cancelling": kernels_that_round_otherwise(
        lambda hidden: (np.float32(1e4) * hidden - np.float32(9999.99) * hidden) @ DEEP[1]
    ),
    "other kernels, steps": kernels_that_round_otherwise(lambda hidden: np.sign(hidden) @ DEEP[1]),
}


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
@pytest.mark.parametrize("run", SOUND.values(), ids=SOUND)
def test_networks_of_independent_rows_pass(run: Run, scale: float) -> None:
    with np.errstate(all="ignore"):
        proof = RowProof(run, np.float32(scale) * FEATURES)
        assert proof.fault() is None
    assert "has the same outputs alone, among others, in other orders and again" in proof.detail


def test_networks_that_keep_a_count_are_found_however_little_they_count() -> None:
    runs = count()
    counting = RowProof(lambda x: linear(x) + np.float32(1e-3 * next(runs)), FEATURES)
    assert (counting.fault() or "").startswith("differs from run to run")
    state = [0.0]
    later = RowProof(lambda x: linear(x) + np.float32(state[0]), FEATURES)
    assert later.fault() is None
    assert later.fault_again() is None
    state[0] = 1e-6
    assert (later.fault_again() or "").startswith("differs from run to run")


def test_a_batch_that_cannot_be_run_is_told() -> None:
    def run(x: Floats) -> Floats:
        if len(x) == 1:
            raise EngineFailed("one is none")
        return linear(x)

    assert RowProof(run, FEATURES).fault() == "cannot be computed alone: one is none."


def test_rows_that_no_observation_has_may_fail() -> None:
    """An index beyond a table, say: it is the size of the row itself that fails."""

    def run(x: Floats) -> Floats:
        if np.abs(x).max() > 1e3:
            raise EngineFailed("index out of range")
        return linear(x)

    assert RowProof(run, FEATURES).fault() is None


def test_a_network_of_fewer_rows_than_it_was_given_is_told() -> None:
    fault = RowProof(lambda x: linear(x)[: max(1, len(x) // 100 * 100)], FEATURES[:100]).fault()
    assert "has another shape" in (fault or "")


def test_slow_networks_are_tried_on_less() -> None:
    ran: list[int] = []

    def run(x: Floats) -> Floats:
        ran.append(len(x))
        time.sleep(pause * len(x))
        return linear(x)

    pause = 0.0
    assert RowProof(run, FEATURES[:ALONE]).fault() is None
    assert ran.count(1) >= ALONE
    assert max(ran) == MAX_BATCH
    ran.clear()
    pause = 0.01
    assert RowProof(run, FEATURES[:ALONE]).fault() is None
    assert {1, 2, 8, ALONE} <= set(ran)
    assert max(ran) == ALONE
    assert pause * sum(ran[2:]) < 2 * SECONDS


def onnx_of(middle: list[tuple[str, list[str], dict[str, int]]]) -> bytes:
    """A network of three features: operations from `obs` to `mixed`, then a linear layer."""
    names = ["obs", *(f"m{index}" for index in range(len(middle) - 1)), "mixed"]
    nodes = [
        helper.make_node(kind, [names[index], *extra], [names[index + 1]], **attributes)
        for index, (kind, extra, attributes) in enumerate(middle)
    ]
    nodes.append(helper.make_node("MatMul", ["mixed", "kernel"], ["logits"]))
    kernel = weights(4)
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(np.int64(0), "zero")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize(
    "middle",
    [
        [("CumSum", ["zero"], {})],
        [("Softmax", [], {"axis": 0})],
        [("LpNormalization", [], {"axis": 0})],
    ],
    ids=["sums", "softmax", "norm"],
)
def test_onnx_files_that_mix_rows_are_refused(
    candidate_of: CandidateOf, middle: list[tuple[str, list[str], dict[str, int]]]
) -> None:
    report = candidate_of(contract_of(), model=onnx_of(middle)).assemble()
    message = report.rejected or ""
    assert message.startswith("The model cannot be served: its output `logits` depends on what")
    same = [("Softmax", list[str](), {"axis": 1})]
    assert candidate_of(contract_of(), model=onnx_of(same)).assemble().ready


def batch_normalised(x: object, kernel: object) -> dict[str, object]:
    hidden = x @ kernel  # type: ignore[operator]
    mean, variance = tf.nn.moments(hidden, [0])
    return {"action_dist_inputs": tf.nn.batch_normalization(hidden, mean, variance, 0, 1, 1e-3)}


def test_a_saved_model_with_batch_statistics_is_refused(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = save(tmp_path / "m.zip", batch_normalised, [weights(4)], style="module")
    message = candidate_of(contract_of(), model=model).assemble().rejected or ""
    assert "`action_dist_inputs` depends on what else is run at the same time" in message


def test_a_saved_model_that_counts_its_runs_is_refused(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    def counting(x: object, kernel: object, runs: object) -> dict[str, object]:
        total = tf.compat.v1.assign_add(runs, tf.ones_like(runs))
        with tf.control_dependencies([total]):
            return {"action_dist_inputs": x @ kernel + 1e-6 * tf.reduce_sum(total)}  # type: ignore[operator]

    runs = np.zeros((1, 1), np.float32)
    model = save(tmp_path / "m.zip", counting, [weights(4), runs])
    message = candidate_of(contract_of(), model=model).assemble().rejected or ""
    assert "`AssignAdd`" in message
    assert "assignments" in message


def test_what_mixes_on_valid_observations_alone_is_refused(candidate_of: CandidateOf) -> None:
    """Features of several millions: at the scales of the random inputs the mixing is rounding."""
    code = "def preprocess(o):\n    return [4e6 + v for v in o['x']]\n"
    content = onnx_of([("Floor", [], {}), ("CumSum", ["zero"], {})])
    kernel = weights(4)
    assert content.count(kernel.tobytes()) == 1
    content = content.replace(kernel.tobytes(), (1e-7 * kernel).astype(np.float32).tobytes())
    report = candidate_of(contract_of(), model=content, preprocessor=code).assemble()
    message = report.rejected or ""
    assert message.startswith("The model cannot be served: its output")
    assert "depends on what else is run at the same time" in message


def test_a_network_that_fails_on_valid_observations_is_refused(candidate_of: CandidateOf) -> None:
    """A table of 5,000 entries: random inputs of the proof lie within it, observations do not."""
    code = "def preprocess(o):\n    return [1e6] * 3\n"
    table = RNG.standard_normal((5000, 1)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["obs"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "index"], ["looked"], axis=0),
            helper.make_node("Squeeze", ["looked", "last"], ["logits"]),
        ],
        "policy",
        [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([2]), "last")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    within = code.replace("1e6", "40")
    assert candidate_of(contract_of(), model=content, preprocessor=within).assemble().ready
    message = candidate_of(contract_of(), model=content, preprocessor=code).assemble().rejected
    assert (message or "").startswith("The network cannot be run on valid observations: ")


def test_the_report_says_that_rows_are_independent(candidate_of: CandidateOf) -> None:
    report = candidate_of(contract_of(), model=linear_onnx(3, 4)).assemble()
    assert detail(report, "rows").startswith("each of 200 rows has the same outputs alone, among ")
