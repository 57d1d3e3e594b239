"""SavedModels of several exporters become small proven networks, or are rejected with a remedy."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.quiet_tensorflow import tf
from policy_server.contract.contract import Contract
from policy_server.errors import UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.proving.built_model import compare
from policy_server.proving.description import Description
from policy_server.proving.limits import BuildLimits
from policy_server.proving.readers.reader import ModelUpload
from policy_server.proving.readers.registry import read_model
from policy_server.proving.report import BuildReport
from tests.proving.conftest import CandidateOf, agrees, detail
from tests.support.contracts import contract_of
from tests.support.saved_models import (
    RLLIB_INPUTS,
    Input,
    Style,
    categorical,
    gaussian,
    greedy,
    save,
    weights,
)

ROWS = np.random.default_rng(3).uniform(-2, 2, (50, 3)).astype(np.float32)


def build(folder: Path, contract: Contract, description: Description) -> None:
    file = folder / "upload"
    read_model(ModelUpload(file, folder, contract, description, BuildLimits(), lambda _: None))


class Fixed:
    """An engine that always puts out the same numbers."""

    feature_width = 1

    def __init__(self, outputs: Sequence[Sequence[float]]) -> None:
        self.outputs = np.array(outputs, dtype=np.float32)

    def run(self, features: Floats) -> Floats:
        return self.outputs


@pytest.mark.parametrize("style", ["graph", "module"])
@pytest.mark.parametrize("output", ["action_dist_inputs", "behaviour_logits"])
def test_one_head_under_new_and_old_names(
    candidate_of: CandidateOf, tmp_path: Path, style: Style, output: str
) -> None:
    kernel = weights(4)
    model = save(
        tmp_path / "m",
        lambda x, w, **_: categorical(x @ w, (4,), output=output),
        [kernel],
        style=style,
        inputs=RLLIB_INPUTS,
    )
    candidate = candidate_of(contract_of(), model=model)
    report = candidate.assemble()
    assert report.ready, report
    assert (candidate.network.family, candidate.network.sizes) == ("categorical", (4,))
    assert candidate.network.engine == "onnxruntime"
    assert agrees(candidate, kernel)
    assert "agree" in detail(report, "model")
    assert "equal to the original" in detail(report, "proof")
    assert not (candidate.folder / "model" / "saved_model").exists()


def test_fifteen_heads_need_tuple_and_keep_their_order(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    # As text, actions_10 comes before actions_2; heads of unequal size would then not be proven.
    sizes = (2,) * 14 + (3,)
    kernel = weights(sum(sizes))
    model = save(tmp_path / "m", lambda x, w: categorical(x @ w, sizes), [kernel])
    single = candidate_of(contract_of(), model=model).assemble()
    assert single.rejected is not None
    assert "15 heads" in single.rejected
    assert "TUPLE=True" in single.rejected
    assert "`python generate.py schema`" in single.rejected
    candidate = candidate_of(contract_of(tuple_=True), model=model)
    assert candidate.assemble().ready
    assert candidate.network.sizes == sizes


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("sizes", [(2, 3, 4), (4, 2, 3), (3, 3, 3)])
def test_sizes_of_heads_are_proven_by_the_models_draws(
    candidate_of: CandidateOf, tmp_path: Path, sizes: tuple[int, ...], stacked: bool
) -> None:
    model = save(
        tmp_path / "m", lambda x, w: categorical(x @ w, sizes, stacked=stacked), [weights(9)]
    )
    candidate = candidate_of(contract_of(tuple_=True), model=model)
    assert candidate.assemble().ready
    assert (candidate.network.family, candidate.network.sizes) == ("categorical", sizes)


def test_more_than_nine_heads_are_in_numeric_order(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    sizes = (2, 2, 5, 2, 2, 2, 2, 2, 2, 2, 2)
    model = save(tmp_path / "m", lambda x, w: categorical(x @ w, sizes), [weights(sum(sizes))])
    mapper = "\n".join(
        f"- {{{', '.join(f'{action}: a{action}' for action in range(size))}}}" for size in sizes
    )
    candidate = candidate_of(contract_of(tuple_=True), model=model, output_mapper=mapper)
    assert candidate.assemble().ready
    assert candidate.network.sizes == sizes


def test_one_head_may_be_a_tuple_of_one(candidate_of: CandidateOf, tmp_path: Path) -> None:
    model = save(tmp_path / "m", lambda x, w: categorical(x @ w, (4,)), [weights(4)])
    candidate = candidate_of(contract_of(tuple_=True), model=model)
    assert candidate.assemble().ready
    assert candidate.network.sizes == (4,)


def test_kinds_of_actions_are_those_of_the_contract(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    real = save(tmp_path / "r", lambda x, w: gaussian(x @ w, (1,)), [weights(2)])
    report = candidate_of(contract_of(), model=real).assemble()
    assert report.rejected is not None
    assert "DISCRETE_ACTIONS=False" in report.rejected
    numbered = save(tmp_path / "n", lambda x, w: categorical(x @ w, (2,)), [weights(2)])
    report = candidate_of(contract_of(discrete=False), model=numbered).assemble()
    assert report.rejected is not None
    assert "DISCRETE_ACTIONS=True" in report.rejected


@pytest.mark.parametrize("style", ["graph", "module"])
@pytest.mark.parametrize(
    ("components", "sizes"), [((1,), (1,)), ((3,), (3,)), ((1, 2), (1, 2)), ((2, 2), (2, 2))]
)
def test_boxes_and_tuples_of_boxes(
    candidate_of: CandidateOf,
    tmp_path: Path,
    components: tuple[int, ...],
    sizes: tuple[int, ...],
    style: Style,
) -> None:
    kernel = weights(2 * sum(components), scale=0.2)
    model = save(tmp_path / "m", lambda x, w: gaussian(x @ w, components), [kernel], style=style)
    tuple_ = len(components) > 1
    candidate = candidate_of(contract_of(discrete=False, tuple_=tuple_), model=model)
    report = candidate.assemble()
    assert report.ready, report
    assert (candidate.network.family, candidate.network.sizes) == ("gaussian", sizes)


def test_squashed_gaussians_are_proven_by_their_draws(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = save(
        tmp_path / "m", lambda x, w: gaussian(x @ w, (2,), squash=True), [weights(4, scale=0.05)]
    )
    candidate = candidate_of(contract_of(discrete=False), model=model)
    report = candidate.assemble()
    assert report.ready, report
    assert (candidate.network.family, candidate.network.sizes) == ("squashed_gaussian", (2,))


def test_draws_of_no_family_are_rejected_with_both_numbers(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    def act(x: Any, w: Any) -> dict[str, Any]:
        outputs = gaussian(x @ w, (2,))
        return {**outputs, "action_logp": outputs["action_logp"] - 0.5}

    model = save(tmp_path / "m", act, [weights(4, scale=0.2)])
    report = candidate_of(contract_of(discrete=False), model=model).assemble()
    assert report.rejected is not None
    assert "diagonal Gaussian, squashed by tanh or not" in report.rejected
    assert "differ by " in report.rejected
    assert "1e-04 is allowed" in report.rejected


@pytest.mark.parametrize("output", ["q_values", "action_dist_inputs"])
def test_values_are_taken_for_values(
    candidate_of: CandidateOf, tmp_path: Path, output: str
) -> None:
    """An old DQN states no `q_values`, but draws the highest with probability 1."""
    model = save(tmp_path / "m", lambda x, w: greedy(x @ w, output), [weights(4)])
    candidate = candidate_of(contract_of(), model=model)
    assert candidate.assemble().ready
    assert (candidate.network.family, candidate.network.sizes) == ("greedy", (4,))


def test_memory_is_rejected_by_its_name(candidate_of: CandidateOf, tmp_path: Path) -> None:
    model = save(
        tmp_path / "m",
        lambda x, w, state_in_0: categorical(x @ w + state_in_0, (4,)),
        [weights(4)],
        inputs=[Input("state_in_0", shape=(None, 4))],
    )
    report = candidate_of(contract_of(), model=model).assemble()
    assert report.rejected is not None
    assert "state_in_0" in report.rejected
    assert "memory" in report.rejected


def test_an_input_in_the_graph_but_not_in_the_signature_is_fed(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    def draws(x: Any, w: Any, timestep: Any) -> dict[str, Any]:
        outputs = categorical(x @ w, (4,))
        exploring = tf.cast(timestep < 0, tf.int64)
        return {**outputs, "actions_0": outputs["actions_0"] + exploring}

    kernel = weights(4)
    hidden = Input("timestep", "int64", (), listed=False)
    model = save(tmp_path / "m", draws, [kernel], inputs=[hidden])
    candidate = candidate_of(contract_of(), model=model)
    report = candidate.assemble()
    assert report.ready, report
    assert agrees(candidate, kernel)


def test_weights_that_are_not_numbers_are_rejected(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = save(
        tmp_path / "m", lambda x, w: categorical(x @ w, (4,)), [np.full((3, 4), np.nan, np.float32)]
    )
    report = candidate_of(contract_of(), model=model).assemble()
    assert report.rejected is not None
    assert "not finite" in report.rejected


def test_one_weight_that_is_no_number_is_rejected(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    kernel = weights(4)
    kernel[1, 2] = np.nan
    for make in (lambda x, w: categorical(x @ w, (4,)), lambda x, w: {"logits": x @ w}):
        model = save(tmp_path / "m", make, [kernel])
        assert candidate_of(contract_of(), model=model).assemble().rejected is not None


def test_logits_of_minus_infinity_mask_actions(candidate_of: CandidateOf, tmp_path: Path) -> None:
    def masked(x: Any, w: Any) -> dict[str, Any]:
        return {"logits": tf.where(x[:, :1] > 0, [0.0, 0.0, 0.0, -np.inf], 0.0) + x @ w}

    candidate = candidate_of(contract_of(), model=save(tmp_path / "m", masked, [weights(4)]))
    report = candidate.assemble()
    assert report.ready, report
    assert candidate.network.engine == "onnxruntime"


def test_random_features_outside_of_a_networks_domain_are_no_fault(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    """Here negative features have no logarithm, but no observation is negative."""
    model = save(
        tmp_path / "m",
        lambda x, w: categorical(tf.math.log(x) @ w, (4,)),
        [weights(4, 1)],
        features=1,
    )
    positive = "def preprocess(observation):\n    return [1.0 + sum(observation['x']) ** 2]\n"
    candidate = candidate_of(contract_of(), model=model, preprocessor=positive)
    report = candidate.assemble()
    assert report.ready, report
    assert candidate.network.engine == "onnxruntime"


@pytest.mark.parametrize("width", [0, 4])
def test_actions_without_what_they_are_drawn_from_are_rejected(
    candidate_of: CandidateOf, tmp_path: Path, width: int
) -> None:
    """As TF-Agents saves a policy: `action` is drawn, numbered or real, and nothing else is out."""

    def act(x: Any, w: Any) -> dict[str, Any]:
        if width:
            return {"action": x @ w + tf.random.normal([4])}
        return {"action": tf.random.categorical(x @ w, 1)[:, 0], "state": tf.constant(0)}

    model = save(tmp_path / "m", act, [weights(4)], style="module", signature="action")
    report = candidate_of(contract_of(discrete=not width), model=model).assemble()
    assert report.rejected is not None
    assert "action" in report.rejected
    assert "from run to run" in report.rejected
    assert "`logits` or `mean_log_std`" in report.rejected


def test_an_output_that_is_drawn_is_no_distribution(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = save(
        tmp_path / "m",
        lambda x, w: {"output_0": x @ w + tf.random.normal([4])},
        [weights(4)],
        style="module",
    )
    report = candidate_of(contract_of(), model=model).assemble()
    assert report.rejected is not None
    assert "from run to run" in report.rejected


@pytest.mark.parametrize(
    "shape",
    [lambda y: tf.reduce_sum(y), lambda y: y[:, None], lambda y: y[:1]],
)
def test_outputs_of_other_shapes_are_rejected(
    candidate_of: CandidateOf, tmp_path: Path, shape: Any
) -> None:
    model = save(tmp_path / "m", lambda x, w: {"logits": shape(x @ w)}, [weights(4)])
    report = candidate_of(contract_of(), model=model).assemble()
    assert report.rejected is not None
    assert "`logits` has the shape [" in report.rejected


def test_an_autoregressive_policy_is_not_taken_for_independent_heads(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    """The second head's probabilities depend on the first one's draw."""

    def draws(x: Any, w: Any) -> dict[str, Any]:
        outputs = categorical(x @ w, (2, 2))
        shift = tf.cast(outputs["actions_0"], tf.float32)
        return {**outputs, "action_logp": outputs["action_logp"] - shift}

    model = save(tmp_path / "m", draws, [weights(4)])
    report = candidate_of(contract_of(tuple_=True), model=model).assemble()
    assert report.rejected is not None
    assert "not those of a softmax" in report.rejected


@pytest.mark.parametrize(
    ("content", "what", "remedy"),
    [
        (b"", "empty", "tf.saved_model.save"),
        (b"\x80\x04\x95\x00", "pickle", "torch.onnx.export"),
        (b"\x08\x01\x12\x83\x01....", "saved_model.pb alone", "zip"),
        (b"\x1f\x8b\x08\x00....", "gzip", "zip"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip", "zip"),
    ],
)
def test_other_formats_are_refused_with_the_export_that_serves(
    tmp_path: Path, content: bytes, what: str, remedy: str
) -> None:
    (tmp_path / "upload").write_bytes(content)
    with pytest.raises(UploadRejected) as caught:
        build(tmp_path, contract_of(), Description())
    assert what in str(caught.value)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
def test_a_sound_zip_of_a_damaged_model_is_rejected(
    candidate_of: CandidateOf, tmp_path: Path, name: str
) -> None:
    whole = save(tmp_path / "m", lambda x, w: categorical(x @ w, (4,)), [weights(4)])
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(tmp_path / "d", "w") as damaged:
        for info in source.infolist():
            content = source.read(info)
            damaged.writestr(info.filename, content[:-20] if info.filename == name else content)
    report: BuildReport = candidate_of(contract_of(), model=tmp_path / "d").assemble()
    assert report.rejected is not None
    assert "TensorFlow cannot load it" in report.rejected


def test_comparison_counts_what_is_relative_and_what_is_not_finite() -> None:
    rows = np.zeros((1, 1), np.float32)

    def difference(ours: list[float], theirs: list[float]) -> float:
        return compare(Fixed([ours]), Fixed([theirs]), rows)

    assert difference([1.0, 2.0], [1.0, 2.0]) == 0.0
    assert difference([0.5], [0.25]) == 0.25
    assert difference([110.0], [100.0]) == pytest.approx(0.1)
    assert difference([-np.inf, 1.0], [-np.inf, 1.0]) == 0.0
    assert difference([np.nan], [np.nan]) == 0.0
    assert difference([np.nan], [1.0]) == np.inf
    assert difference([1.0], [np.nan]) == np.inf
    assert difference([np.inf], [-np.inf]) == np.inf
    assert difference([1.0], [-np.inf]) == np.inf
    assert difference([1.0], [1.0, 1.0]) == np.inf
