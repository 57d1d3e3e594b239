"""A SavedModel of what is served of another one: rows of features in, rows of numbers out.

TensorFlow Serving runs whatever lies in a SavedModel, so it gets nothing but the operations from
the observations to the output, of which all are known, with constants for variables.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from policy_server.policy.saved_model import SavedModel
from policy_server.proving.conversion import ConversionFailed, frozen
from policy_server.proving.input_description import Normalisation

FEATURES, OUTPUTS = "features", "outputs"
"""What its only signature calls them."""
VERSION = "1"
"""Of the only one in a folder, as TensorFlow Serving counts them."""


def write_reduced(model: SavedModel, folder: Path, statistics: Normalisation | None) -> None:
    """Write what is served of a SavedModel into a folder of versions, as the only one.

    Args:
        model: Knows its output.
        folder: As TensorFlow Serving takes it; made here.
        statistics: How features are normalised first.

    Raises:
        ConversionFailed: It cannot be written so.
    """
    tf = model.tensorflow
    v1 = tf.compat.v1
    further = model.further_inputs([model.output_tensor])
    try:
        definition = frozen(model, [model.observation_tensor, *further])
        graph = tf.Graph()
        with graph.as_default(), v1.Session(graph=graph) as session:
            features = v1.placeholder(tf.float32, [None, model.feature_width], FEATURES)
            inputs = _inputs(model, features, statistics, further)
            (output,) = tf.import_graph_def(definition, inputs, [model.output_tensor], name="")
            rows = tf.cast(tf.reshape(output, [tf.shape(features)[0], -1]), tf.float32)
            signature = v1.saved_model.predict_signature_def({FEATURES: features}, {OUTPUTS: rows})
            builder = v1.saved_model.Builder(str(folder / VERSION))
            builder.add_meta_graph_and_variables(
                session, ["serve"], {"serving_default": signature}, clear_devices=True
            )
            builder.save()
    except (tf.errors.OpError, ValueError, TypeError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConversionFailed(reason) from error


def _inputs(
    model: SavedModel,
    features: Any,
    statistics: Normalisation | None,
    further: Mapping[str, int],
) -> Mapping[str, Any]:
    """What each placeholder is given: features in its shape, or what is neutral."""
    tf = model.tensorflow
    rows = tf.shape(features)[0]
    if statistics is not None:
        wide = (tf.cast(features, tf.float64) - statistics.mean) / statistics.scale
        features = tf.cast(wide, tf.float32)
        if statistics.clip is not None:
            features = tf.clip_by_value(features, -statistics.clip, statistics.clip)
    observation = model.graph.get_tensor_by_name(model.observation_tensor)
    shaped = tf.reshape(features, [rows, *observation.shape[1:].as_list()])
    given = {model.observation_tensor: tf.cast(shaped, observation.dtype)}
    for name, fill in further.items():
        tensor = model.graph.get_tensor_by_name(name)
        sizes = tensor.shape.as_list() if tensor.shape.rank is not None else []
        shape = [rows if axis == 0 else size or 1 for axis, size in enumerate(sizes)]
        given[name] = tf.cast(tf.fill(shape, fill), tensor.dtype)
    return given
