"""SavedModels: those of the examples, and small ones of every style, exported here."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from policy_server.errors import EngineFailed
from policy_server.policy.engines.tensorflow import TensorFlowEngine
from policy_server.policy.network import Network
from policy_server.policy.saved_model import SavedModel, UnusableModel
from policy_server.proving.archive import unpack_saved_model
from policy_server.proving.limits import BuildLimits
from policy_server.proving.stateless import check_stateless
from tests.support.saved_models import assert_runs_as_recorded

EXAMPLES = Path(__file__).parents[3] / "examples"
WEIGHTS = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
FEATURES = np.array([[1, 0, 2], [0, 1, 3]], dtype=np.float32)
PRODUCT = np.array([[11, 14], [18, 22]], dtype=np.float32)  # by hand
v1 = tf.compat.v1

Tensors = dict[str, Any]
Graph = Callable[[], tuple[Tensors, Tensors]]


def export_graph(
    folder: Path, graph: Graph, signature: str = "serving_default", tags: tuple[str, ...] = ()
) -> Path:
    """Export what `graph` draws, (inputs, outputs), as TensorFlow 1 did."""
    with tf.Graph().as_default(), v1.Session() as session:
        inputs, outputs = graph()
        session.run(v1.global_variables_initializer())
        info = v1.saved_model.build_tensor_info
        definition = v1.saved_model.build_signature_def(
            {name: info(tensor) for name, tensor in inputs.items()},
            {name: info(tensor) for name, tensor in outputs.items()},
            "predict",
        )
        builder = v1.saved_model.Builder(str(folder / "exported"))
        builder.add_meta_graph_and_variables(
            session, list(tags or ("serve",)), signature_def_map={signature: definition}
        )
        builder.save()
    return folder / "exported"


def placeholder(name: str, dtype: Any = tf.float32, shape: Any = (None,)) -> Any:
    return v1.placeholder(dtype, shape, name)


def observed() -> tuple[Any, Any]:
    """The observations and the logits that a linear layer makes of them."""
    observations = placeholder("obs", shape=(None, 3))
    return observations, tf.matmul(observations, v1.get_variable("w", initializer=WEIGHTS))


def opened(folder: Path) -> SavedModel:
    """A SavedModel that gives the output of logits, whatever it is called."""
    model = SavedModel(folder)
    names = ("action_dist_inputs", "behaviour_logits", "fc_out", "logits", "y")
    model.output_name = next((name for name in names if name in model.outputs), "")
    return model


class TestExamples:
    @pytest.mark.parametrize("name", ["lpoc", "simple_stochastic_tuple"])
    def test_its_output_is_that_of_the_golden_cases(self, name: str, tmp_path: Path) -> None:
        folder = EXAMPLES / name
        unpack_saved_model(folder / "saved_model.zip", tmp_path / "m", BuildLimits())
        lines = (folder / "golden.jsonl").read_text(encoding="utf-8").splitlines()
        cases = [json.loads(line) for line in lines]
        features = np.array([case["features"] for case in cases], dtype=np.float32)
        logits = np.array([case["distribution_inputs"] for case in cases], dtype=np.float32)

        assert_runs_as_recorded(opened(tmp_path / "m"), features, logits)


class TestGraphStyle:
    def test_every_further_input_gets_its_neutral_value(self, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations, logits = observed()
            lengths = placeholder("anything", tf.int32)  # the signature says what it is
            unlisted = placeholder("timestep", tf.int64, ())
            shapeless = placeholder("is_training", tf.bool, None)
            actions = placeholder("previous", tf.int64, (None, 2))
            noise = (
                (tf.cast(lengths, tf.float32) - 1)
                + tf.cast(unlisted, tf.float32)
                + tf.where(shapeless, 1.0, 0.0)
                + tf.cast(tf.reduce_sum(actions, axis=1), tf.float32)
            )
            inputs = {
                "observations": observations,
                "seq_lens": lengths,
                "prev_action": actions,
                "is_training": shapeless,
            }
            return inputs, {"action_dist_inputs": logits + noise[:, tf.newaxis]}

        model = opened(export_graph(tmp_path, graph))
        np.testing.assert_array_equal(model.run(FEATURES), PRODUCT)
        np.testing.assert_array_equal(model.run(FEATURES[:1]), PRODUCT[:1])
        with pytest.raises(UnusableModel, match="depend on `previous:0`"):
            check_stateless(model, FEATURES)

    @pytest.mark.parametrize("dtype", [tf.bool, tf.float32, tf.int64])
    @pytest.mark.parametrize("listed", [False, True])
    def test_memory_is_found_whatever_its_type(
        self, listed: bool, dtype: Any, tmp_path: Path
    ) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations, logits = observed()
            state = placeholder("state", dtype, (None, 1))
            inputs = {"observations": observations} | ({"state_in_0": state} if listed else {})
            return inputs, {"action_dist_inputs": logits * (1 + tf.cast(state, tf.float32))}

        model = opened(export_graph(tmp_path, graph))
        np.testing.assert_array_equal(model.run(FEATURES), PRODUCT)
        with pytest.raises(UnusableModel, match=r"`state:0`.*input: (state:0|state_in_0), output"):
            check_stateless(model, FEATURES)

    def test_what_the_output_does_not_need_is_no_memory(self, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations, logits = observed()
            state = placeholder("state", shape=(None, 2))
            flag = placeholder("training", tf.bool, ())
            inputs = {"observations": observations, "state_in_0": state, "flag": flag}
            unused = tf.where(flag, state, state + 1)
            outputs = {
                "action_dist_inputs": logits + 0 * tf.cast(flag, tf.float32),
                "state_out_0": unused,
            }
            return inputs, outputs

        check_stateless(opened(export_graph(tmp_path, graph)), FEATURES)

    def test_noise_in_the_network_is_found(self, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations, logits = observed()
            noisy = logits + tf.random.normal(tf.shape(logits))
            return {"observations": observations}, {"action_dist_inputs": noisy}

        with pytest.raises(UnusableModel, match="differ from run to run"):
            check_stateless(opened(export_graph(tmp_path, graph)), FEATURES)

    def test_heads_are_sorted_by_their_number(self, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations, logits = observed()
            heads: Tensors = {
                f"actions_{head}": tf.fill([tf.shape(logits)[0]], tf.constant(head, tf.int64))
                for head in range(15)
            }
            chance = tf.fill([tf.shape(logits)[0]], -0.5)
            others = {"action_dist_inputs": logits, "action_logp": chance, "action_prob": chance}
            return {"observations": observations}, {**heads, **others}

        model = opened(export_graph(tmp_path, graph))
        assert model.action_outputs == [f"actions_{head}" for head in range(15)]
        assert model.actions_are_integers is True
        draws = model.draw(FEATURES)
        assert [array.tolist() for array in draws.actions] == [[head] * 2 for head in range(15)]
        np.testing.assert_array_equal(draws.log_probability, [-0.5, -0.5])

    def test_it_says_what_its_outputs_are(self, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations, logits = observed()
            outputs = {
                "logits": logits,
                "best": tf.argmax(logits, axis=1),
                "large": logits > 0,
                "name": tf.as_string(logits),  # texts are left out
            }
            return {"observations": observations}, outputs

        model = opened(export_graph(tmp_path, graph))
        assert model.kinds() == {
            "logits": ("real", 2),
            "best": ("integer", 1),
            "large": ("other", 2),
        }
        np.testing.assert_array_equal(model.run(FEATURES), PRODUCT)
        assert model.actions_are_integers is None
        assert model.action_outputs == []
        model.output_name = "best"
        np.testing.assert_array_equal(model.run(FEATURES), PRODUCT.argmax(axis=1)[:, np.newaxis])

    @pytest.mark.parametrize(
        ("draw", "operation"),
        [
            (lambda logits: tf.random.categorical(logits, 1), "Multinomial"),
            (lambda logits: logits + tf.random.normal(tf.shape(logits)), "RandomStandardNormal"),
            (lambda logits: tf.random.stateless_uniform([2], [1, 2]) + logits, "StatelessRandom"),
            (tf.nn.softmax, ""),
        ],
    )
    def test_it_says_which_operations_draw(self, draw: Any, operation: str, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations, logits = observed()
            return {"observations": observations}, {"y": draw(logits)}

        assert operation in opened(export_graph(tmp_path, graph)).drawing()
        assert bool(operation) == bool(opened(export_graph(tmp_path / "2", graph)).drawing())

    @pytest.mark.parametrize("signature", ["serving_default", "action", "predict_mine"])
    def test_a_signature_is_found(self, signature: str, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations, logits = observed()
            return {"x": observations}, {"y": logits}

        model = opened(export_graph(tmp_path, graph, signature, tags=("mine", "gpu")))
        np.testing.assert_array_equal(model.run(FEATURES), PRODUCT)

    def test_images_of_bytes_are_given_their_shape(self, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            images = placeholder("obs", tf.uint8, (None, 2, 2, 1))
            sums = tf.reduce_sum(tf.cast(images, tf.float32), axis=[2, 3])
            return {"observations": images}, {"logits": sums}

        model = opened(export_graph(tmp_path, graph))
        assert model.feature_width == 4
        rows = np.array([[1, 2, 3, 255]], dtype=np.float32)
        np.testing.assert_array_equal(model.run(rows), [[3, 258]])

    def test_an_open_shape_is_refused(self, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations = placeholder("obs", shape=(None, None))
            return {"observations": observations}, {"logits": observations * 2}

        with pytest.raises(UnusableModel, match="shape of its observations is open"):
            _ = opened(export_graph(tmp_path, graph)).feature_width

    def test_inputs_that_could_both_be_observations_are_refused(self, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations, logits = observed()
            return {"a": observations, "b": placeholder("b", shape=(None, 3))}, {"y": logits}

        model = opened(export_graph(tmp_path, graph))
        with pytest.raises(UnusableModel, match=r"no input is called `observations` .*a, b"):
            _ = model.observation_tensor

    def test_actions_of_two_kinds_are_refused(self, tmp_path: Path) -> None:
        def graph() -> tuple[Tensors, Tensors]:
            observations, logits = observed()
            whole = tf.argmax(logits, axis=1)
            heads = {"actions_0": whole, "actions_1": tf.cast(whole, tf.float32)}
            return {"observations": observations}, {"action_dist_inputs": logits, **heads}

        model = opened(export_graph(tmp_path, graph))
        with pytest.raises(UnusableModel, match="numbered in one component and real in another"):
            _ = model.actions_are_integers


class Linear(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """A policy in the style of TensorFlow 2."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(WEIGHTS)

    @tf.function(input_signature=[tf.TensorSpec((None, 3), tf.float32, name="observations")])  # type: ignore[untyped-decorator]
    def __call__(self, observations: Any) -> Tensors:
        return {"fc_out": observations @ self.weights, "value_out": observations[:, :1]}


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel of TensorFlow 2, in a model's folder."""
    folder = tmp_path_factory.mktemp("module")
    tf.saved_model.save(Linear(), str(folder / "saved_model"))
    return folder


class TestModuleStyle:
    def test_it_is_run(self, module_folder: Path) -> None:
        model = opened(module_folder / "saved_model")
        assert model.feature_width == 3
        check_stateless(model, FEATURES)
        np.testing.assert_array_equal(model.run(FEATURES), PRODUCT)

    def test_it_is_loaded_as_an_engine(self, module_folder: Path) -> None:
        network = Network("tensorflow", 3, "categorical", (2,), output="fc_out")
        engine = network.load_engine(module_folder)
        assert isinstance(engine, TensorFlowEngine)
        np.testing.assert_array_equal(engine.run(FEATURES), PRODUCT)

    def test_an_output_that_it_lacks_does_not_load(self, module_folder: Path) -> None:
        with pytest.raises(EngineFailed, match="no output `logits`: upload it again"):
            TensorFlowEngine(module_folder / "saved_model", "logits")

    @pytest.mark.parametrize("width", [2, 4])
    def test_features_of_another_width_fail(self, width: int, module_folder: Path) -> None:
        engine = TensorFlowEngine(module_folder / "saved_model", "fc_out")
        with pytest.raises(EngineFailed, match=f"^{width} features were given, .* takes 3$"):
            engine.run(np.zeros((2, width), dtype=np.float32))

    @pytest.mark.parametrize("content", [b"", b"not a model", None])
    def test_a_damaged_one_does_not_load(self, content: bytes | None, tmp_path: Path) -> None:
        if content is not None:
            (tmp_path / "saved_model.pb").write_bytes(content)
        with pytest.raises(EngineFailed, match="TensorFlow cannot load it"):
            TensorFlowEngine(tmp_path, "fc_out")

    def test_lost_weights_do_not_load(self, module_folder: Path, tmp_path: Path) -> None:
        whole = (module_folder / "saved_model" / "saved_model.pb").read_bytes()
        (tmp_path / "saved_model.pb").write_bytes(whole)
        with pytest.raises(UnusableModel, match="TensorFlow cannot load it"):
            SavedModel(tmp_path)
