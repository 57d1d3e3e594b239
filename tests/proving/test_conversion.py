"""SavedModels become ONNX that computes the same; where that cannot be, TensorFlow serves them."""

from pathlib import Path
from typing import Any

import numpy as np

from examples.quiet_tensorflow import tf
from policy_server.version.parts import Part
from tests.proving.conftest import CandidateOf, agrees, detail
from tests.support.contracts import contract_of
from tests.support.saved_models import Input, categorical, pack, save, weights


def test_an_action_before_that_changes_nothing_is_no_memory(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    kernel = weights(4)
    model = save(
        tmp_path / "m",
        lambda x, w, prev_action: categorical(
            x @ w + 0.0 * tf.cast(prev_action, tf.float32)[:, None], (4,)
        ),
        [kernel],
        inputs=[Input("prev_action", "int64")],
    )
    candidate = candidate_of(contract_of(), model=model)
    assert candidate.assemble().ready
    rows = np.array([[0.5, -1.0, 2.0]], np.float32)
    served = candidate.network.load_engine(candidate.folder / "model")
    np.testing.assert_allclose(served.run(rows), rows @ kernel, atol=1e-5)


def test_a_network_without_counterpart_in_onnx_is_served_by_tensorflow(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    model = save(
        tmp_path / "m", lambda x, w: categorical(tf.math.igamma(x**2, 1.0) @ w, (4,)), [weights(4)]
    )
    candidate = candidate_of(contract_of(), model=model)
    report = candidate.assemble()
    assert report.ready, report
    assert candidate.network.engine == "tensorflow"
    assert "Igamma" in detail(report, "engine")
    assert (candidate.folder / "model" / "saved_model" / "saved_model.pb").is_file()
    assert not (candidate.folder / "model" / "network.onnx").exists()


def test_a_network_that_differs_on_valid_observations_is_served_by_tensorflow(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    """The remainder of a large number has few digits left, of which each engine has its own."""

    def network(x: Any, w: Any) -> dict[str, Any]:
        return {"logits": tf.math.floormod(x, 0.7) @ w}

    kernel = weights(4)
    far = "def preprocess(observation):\n    return [1e6 + abs(x) for x in observation['x']]\n"
    model = save(tmp_path / "m", network, [kernel])
    candidate = candidate_of(contract_of(), model=model, preprocessor=far)
    report = candidate.assemble()
    assert report.ready, report
    assert candidate.network.engine == "tensorflow"
    assert "differs by" in detail(report, "engine")
    assert not (candidate.folder / "model" / "network.onnx").exists()
    served = candidate.network.load_engine(candidate.folder / "model")
    rows = np.full((2, 3), 1e6, np.float32)
    remainder = float(np.fmod(1e6, np.float64(np.float32(0.7))))
    expected = remainder * kernel.astype(np.float64).sum(axis=0)
    np.testing.assert_allclose(served.run(rows), [expected, expected], atol=1e-5)


def keras_model() -> Any:
    inputs = tf.keras.Input((3,))
    hidden = tf.keras.layers.Dense(5, use_bias=False)(inputs)
    return tf.keras.Model(inputs, tf.keras.layers.Dense(4, use_bias=False)(hidden))


def test_a_keras_model_draws_nothing_and_is_read_as_declared(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    network = keras_model()
    network.export(tmp_path / "exported", verbose=False)
    model = pack(tmp_path / "exported", tmp_path / "exported.zip")
    asked = candidate_of(contract_of(), model=model).assemble()
    assert asked.missing == [Part.DESCRIPTION]
    assert "`output_0` (4 numbers for each observation)" in detail(asked, "reading")
    logits, gaussian = "reads: logits", "reads: mean_log_std"
    candidate = candidate_of(contract_of(), model=model, description=logits)
    assert candidate.assemble().ready
    assert (candidate.network.family, candidate.network.sizes) == ("categorical", (4,))
    first, second = network.get_weights()
    assert agrees(candidate, first @ second)
    candidate = candidate_of(contract_of(discrete=False), model=model, description=gaussian)
    assert candidate.assemble().ready
    assert (candidate.network.family, candidate.network.sizes) == ("gaussian", (2,))
    report = candidate_of(contract_of(tuple_=True), model=model, description=logits).assemble()
    assert report.missing == [Part.OUTPUT_MAPPER]
    mapper = "[{0: a}, {0: a, 1: b, 2: c}]"
    parts = {"description": logits, "output_mapper": mapper}
    candidate = candidate_of(contract_of(tuple_=True), model=model, **parts)
    assert candidate.assemble().ready
    assert candidate.network.sizes == (1, 3)


def test_a_keras_model_saved_without_its_weights_is_told_to_be_exported(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    tf.saved_model.save(keras_model(), str(tmp_path / "saved"))
    model = pack(tmp_path / "saved", tmp_path / "saved.zip")
    report = candidate_of(contract_of(), model=model).assemble()
    assert report.rejected is not None
    assert "`model.export(folder)`" in report.rejected
