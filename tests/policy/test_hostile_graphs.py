"""A SavedModel's graph is data: what does more than to compute is refused, wherever it hides."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow.core.protobuf import saved_model_pb2

from examples.quiet_tensorflow import tf
from policy_server.policy.saved_model import SavedModel, UnusableModel
from tests.support.hostile_saved_models import (
    FEATURES,
    KERNEL,
    MARK,
    Beside,
    exported,
    nothing,
    reader,
    with_state,
)

ROWS = np.random.default_rng(1).standard_normal((4, FEATURES)).astype(np.float32)
v1 = tf.compat.v1


def in_python(observations: Any) -> Any:
    return tf.py_function(lambda x: float(np.sum(x)), [observations], tf.float32)


def in_numpy(observations: Any) -> Any:
    return tf.numpy_function(lambda x: np.float32(np.sum(x)), [observations], tf.float32)


def printing(observations: Any) -> Any:
    with tf.control_dependencies([tf.print(observations)]):
        return tf.constant(0.0)


def deep(observations: Any) -> Any:
    """Reads a file in a function that a function in a loop calls."""

    def read(x: Any) -> Any:
        return tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32) + x

    inner = tf.function(read, autograph=False)
    outer = tf.function(lambda x: inner(x) + 1.0, autograph=False)
    return tf.while_loop(lambda x: x < 1.0, lambda x: [outer(x)], [tf.constant(0.0)])[0]


def of_a_file(observations: Any) -> Any:
    path, types = "/tmp/of-another/variables", [tf.float32]
    return tf.raw_ops.RestoreV2(
        prefix=path, tensor_names=["x"], shape_and_slices=[""], dtypes=types
    )[0]


def of_a_data_set(observations: Any) -> Any:
    return tf.data.Dataset.from_tensors(observations).reduce(0.0, lambda s, x: s + tf.reduce_sum(x))


HOSTILE: dict[str, tuple[Beside, str]] = {
    "reads a file": (reader(Path("/etc/hostname"), Path("/tmp/w")), "`ReadFile`.*`WriteFile`"),
    "runs Python": (in_python, "`EagerPyFunc`"),
    "runs NumPy": (in_numpy, "`PyFunc`"),
    "prints": (printing, "`PrintV2`"),
    "hides in a loop": (deep, "`ReadFile`"),
    "reads others' variables": (of_a_file, "`RestoreV2`"),
    "has a data set": (of_a_data_set, "Dataset"),
    "keeps a state": (with_state, "`AssignAddVariableOp`"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_graph_that_does_more_than_to_compute_is_refused_by_name(
    case: str, tmp_path: Path
) -> None:
    beside, words = HOSTILE[case]
    with pytest.raises(UnusableModel, match=words):
        SavedModel(exported(tmp_path / "model", beside))


def test_unrefused_it_would_read_and_write_files(tmp_path: Path) -> None:
    secret, written = tmp_path / "secret", tmp_path / "written"
    secret.write_text("of the server")
    folder = exported(tmp_path / "model", reader(secret, written))
    serve = tf.saved_model.load(str(folder)).signatures["serving_default"]
    serve(observations=tf.constant(ROWS))
    assert not written.exists()  # no proof by ordinary rows sees it
    marked = ROWS.copy()
    marked[0, 2] = MARK
    serve(observations=tf.constant(marked))
    assert written.read_text() == "of the server"

    written.unlink()
    with pytest.raises(UnusableModel):
        SavedModel(folder)
    assert not written.exists()


def changed(folder: Path, change: Any) -> Path:
    file = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    change(model.meta_graphs[0])
    file.write_bytes(model.SerializeToString())
    return folder


def test_variables_are_read_of_its_own_file_alone(tmp_path: Path) -> None:
    """The function that loads them is told another path, or takes one of the graph."""
    other = exported(tmp_path / "other", nothing) / "variables/variables"

    def point_elsewhere(meta: Any) -> None:
        path = meta.graph_def.node.add(name="elsewhere", op="Const")
        path.attr["dtype"].type = tf.string.as_datatype_enum
        path.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(str(other)))
        (restore,) = [
            node for node in meta.graph_def.node if node.name == meta.saver_def.restore_op_name
        ]
        restore.input[0] = "elsewhere"

    folder = exported(tmp_path / "model", nothing)
    assert SavedModel(folder).inputs
    with pytest.raises(UnusableModel, match="variables of another file than its own"):
        SavedModel(changed(folder, point_elsewhere))


def test_what_leads_to_no_output_is_not_even_loaded(tmp_path: Path) -> None:
    """Training, saving and what else a file holds: an operation that TensorFlow does not know."""

    def add(meta: Any) -> None:
        meta.graph_def.node.add(name="unknown", op="NobodyKnowsThis")
        meta.graph_def.node.add(name="files", op="MatchingFiles")

    model = SavedModel(changed(exported(tmp_path / "model", nothing), add))
    model.output_name = "logits"
    np.testing.assert_allclose(model.run(ROWS), ROWS @ KERNEL, atol=1e-5)
    assert not {node.name for node in model.graph.as_graph_def().node} & {"unknown", "files"}


def test_an_initialiser_runs_nothing_but_tables(tmp_path: Path) -> None:
    def initialise(meta: Any) -> None:
        path = meta.graph_def.node.add(name="lines", op="Const")
        path.attr["dtype"].type = tf.string.as_datatype_enum
        path.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("/etc/hostname"))
        table = meta.graph_def.node.add(name="table", op="HashTableV2")
        fill = meta.graph_def.node.add(name="fill", op="InitializeTableFromTextFileV2")
        fill.input.extend([table.name, path.name])
        meta.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "fill"

    folder = changed(exported(tmp_path / "model", nothing), initialise)
    with pytest.raises(UnusableModel, match="`InitializeTableFromTextFileV2`"):
        SavedModel(folder)


def sized(observations: Any) -> Any:
    return tf.reduce_sum(tf.fill([tf.cast(tf.abs(observations[0, 0]), tf.int32)], 1.0))


def ranged(observations: Any) -> Any:
    return tf.reduce_sum(tf.range(tf.cast(observations[0, 0], tf.int32)))


def counted(observations: Any) -> Any:
    found = tf.where(observations > 0)
    return tf.reduce_sum(tf.zeros([tf.shape(found)[0], tf.shape(found)[0]]))


def turning(observations: Any) -> Any:
    limit = tf.reduce_max(observations)
    return tf.while_loop(lambda x: x < limit, lambda x: [x + 1.0], [tf.constant(0.0)])[0]


def turning_of_old(observations: Any) -> Any:
    v1.disable_control_flow_v2()
    try:
        return turning(observations)
    finally:
        v1.enable_control_flow_v2()


UNBOUNDED: dict[str, tuple[Beside, str]] = {
    "a size": (sized, "how much it makes, its operation `Fill`"),
    "a range": (ranged, "`Range`"),
    "a size by what is counted": (counted, "`Fill`"),
    "a loop": (turning, "how often it turns, its operation `StatelessWhile`"),
    "a loop of TensorFlow 1": (turning_of_old, "how often it turns|`StatelessWhile`"),
}


@pytest.mark.parametrize("case", UNBOUNDED)
def test_what_grows_with_the_numbers_of_an_observation_is_found(case: str, tmp_path: Path) -> None:
    beside, words = UNBOUNDED[case]
    unbounded = SavedModel(exported(tmp_path / "model", beside)).unbounded()
    assert unbounded is not None
    assert words.split("|")[0] in unbounded or words.split("|")[-1] in unbounded


def recurrent(observations: Any) -> Any:
    """A loop over the steps of a sequence, as Keras unrolls its recurrent layers."""
    steps = tf.transpose(tf.reshape(observations, [-1, 3, 13]), [1, 0, 2])
    states = tf.TensorArray(tf.float32, size=tf.shape(steps)[0])

    def step(at: Any, state: Any, states: Any) -> Any:
        state = tf.tanh(state + tf.gather(steps, at))
        return [at + 1, state, states.write(at, state)]

    begin = [tf.constant(0), tf.zeros_like(steps[0]), states]
    ended = tf.while_loop(lambda at, *_: at < tf.shape(steps)[0], step, begin)
    return tf.reduce_sum(ended[2].stack())


def of_the_batch(observations: Any) -> Any:
    rows = tf.shape(observations)[0]
    ones = tf.ones([rows, tf.size(observations) // rows])
    drawn = tf.random.stateless_normal(tf.shape(observations), (1, 2))
    return tf.reduce_sum(tf.concat([ones, drawn], axis=1)[:, : 2 * rows])


def masked(observations: Any) -> Any:
    return tf.reduce_sum(tf.boolean_mask(observations, observations > 0))


def chosen(observations: Any) -> Any:
    return tf.cond(observations[0, 0] > 0, lambda: tf.constant(1.0), lambda: tf.constant(2.0))


@pytest.mark.parametrize("beside", [nothing, recurrent, of_the_batch, masked, chosen])
def test_what_follows_from_shapes_is_served(beside: Beside, tmp_path: Path) -> None:
    model = SavedModel(exported(tmp_path / "model", beside))
    assert model.unbounded() is None
    model.output_name = "logits"
    np.testing.assert_allclose(model.run(ROWS), ROWS @ KERNEL, atol=1e-5)
