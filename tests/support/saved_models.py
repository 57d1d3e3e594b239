"""Policies as training leaves them, made here: zips of SavedModels, in the styles of exporters."""

import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from examples.quiet_tensorflow import tf
from policy_server.policy.saved_model import SavedModel
from policy_server.proving.stateless import check_stateless

Style = Literal["graph", "module"]
Tensors = Mapping[str, Any]
Make = Callable[..., Tensors]
Array = NDArray[np.float32]
FEATURES = 3


@dataclass(frozen=True)
class Input:
    """A further input of a network.

    Attributes:
        shape: None for the batch.
        listed: It stands in the signature; else only in the graph.
    """

    name: str
    type: str = "float32"
    shape: tuple[int | None, ...] = (None,)
    listed: bool = True


RLLIB_INPUTS = (
    Input("prev_action", "int64"),
    Input("prev_reward"),
    Input("is_training", "bool", ()),
    Input("seq_lens", "int32"),
    Input("timestep", "int64", (), listed=False),
)


def weights(outputs: int, features: int = FEATURES, seed: int = 0, scale: float = 1.0) -> Array:
    """A kernel float32[F, W]; the networks here are linear, so that a test can compute them."""
    kernel = scale * np.random.default_rng(seed).standard_normal((features, outputs))
    return kernel.astype(np.float32)


def categorical(
    logits: Any, sizes: Sequence[int], *, output: str = "action_dist_inputs", stacked: bool = False
) -> dict[str, Any]:
    """Outputs of a policy that draws from a softmax for each head, as RLlib names them."""
    draws, logs, start = [], 0.0, 0
    for size in sizes:
        head = logits[:, start : start + size]
        action = tf.random.categorical(head, 1, dtype=tf.int64)[:, 0]
        logs += tf.gather(tf.nn.log_softmax(head), action, batch_dims=1)
        draws.append(action)
        start += size
    outputs = {f"actions_{head}": action for head, action in enumerate(draws)}
    if stacked:
        outputs = {"actions": tf.stack(draws, axis=1)}
    elif len(draws) == 1:
        outputs = {"actions_0" if output == "action_dist_inputs" else "actions": draws[0]}
    return {**outputs, "action_logp": logs, "action_prob": tf.exp(logs), output: logits}


def gaussian(inputs: Any, components: Sequence[int], *, squash: bool = False) -> dict[str, Any]:
    """Outputs of a policy that draws from normal distributions, one component an output."""
    outputs, logs, start = {}, 0.0, 0
    for index, size in enumerate(components):
        mean, log_std = tf.split(inputs[:, start : start + 2 * size], 2, axis=1)
        action = mean + tf.exp(log_std) * tf.random.normal(tf.shape(mean))
        distance = (action - mean) / tf.exp(log_std)
        density = -0.5 * distance**2 - log_std - 0.5 * np.log(2 * np.pi).astype(np.float32)
        if squash:
            action = tf.tanh(action)
            density -= tf.math.log(1 - action**2 + 1e-6)
        outputs[f"actions_{index}"] = action
        logs += tf.reduce_sum(density, axis=1)
        start += 2 * size
    return {**outputs, "action_logp": logs, "action_dist_inputs": inputs}


def greedy(values: Any, output: str) -> dict[str, Any]:
    """Outputs of a DQN: the highest value's action, with probability 1."""
    action = tf.argmax(values, axis=1)
    logs = tf.zeros_like(action, dtype=tf.float32)
    return {"actions_0": action, "action_logp": logs, output: values}


def save(
    path: Path,
    make: Make,
    kernels: Sequence[Array],
    *,
    style: Style = "graph",
    inputs: Sequence[Input] = (),
    signature: str = "serving_default",
    features: int = FEATURES,
) -> Path:
    """Write a policy as the zip of a SavedModel.

    Args:
        path: The zip.
        make: `make(observations, *kernels, **inputs)` gives the outputs.
        style: `graph` as TensorFlow 1 wrote it (and RLlib still does), `module` as TensorFlow 2.
    """
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "model"
        specifications = [Input("observations", shape=(None, features)), *inputs]
        write = _write_graph if style == "graph" else _write_module
        write(folder, make, kernels, specifications, signature)
        return pack(folder, path)


def pack(folder: Path, path: Path) -> Path:
    """Zip a folder's files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(file, file.relative_to(folder))
    return path


def assert_runs_as_recorded(model: SavedModel, features: Array, outputs: Array) -> None:
    """A model of numbered actions gives what was recorded, for a batch and for its first row."""
    assert model.feature_width == features.shape[1]
    assert model.actions_are_integers is True
    check_stateless(model, features)
    found = model.run(features)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, outputs, atol=1e-5)
    np.testing.assert_allclose(model.run(features[:1]), outputs[:1], atol=1e-5)


def _write_graph(
    folder: Path, make: Make, kernels: Sequence[Array], inputs: Sequence[Input], signature: str
) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        placeholders = {
            each.name: v1.placeholder(each.type, each.shape, _named(each.name)) for each in inputs
        }
        variables = [
            v1.get_variable(f"kernel_{index}", initializer=kernel, use_resource=False)
            for index, kernel in enumerate(kernels)
        ]
        rest = {name: value for name, value in placeholders.items() if name != "observations"}
        outputs = make(placeholders["observations"], *variables, **rest)
        session.run(v1.global_variables_initializer())
        listed = {each.name: placeholders[each.name] for each in inputs if each.listed}
        definition = v1.saved_model.signature_def_utils.build_signature_def(
            {name: _described(value) for name, value in listed.items()},
            {name: _described(value) for name, value in outputs.items()},
            "tensorflow/serving/predict",
        )
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], {signature: definition})
        builder.save()


def _named(name: str) -> str:
    """What a placeholder is called; RLlib lists states by the names of their tensors."""
    return name.removesuffix(":0") if ":" in name else f"policy/{name}"


def _described(tensor: Any) -> Any:
    return tf.compat.v1.saved_model.utils.build_tensor_info(tensor)


def _write_module(
    folder: Path, make: Make, kernels: Sequence[Array], inputs: Sequence[Input], signature: str
) -> None:
    module = tf.Module()
    module.kernels = [tf.Variable(kernel) for kernel in kernels]
    listed = [each for each in inputs if each.listed]

    def serve(*given: Any) -> Tensors:
        observations, *rest = given
        named = {each.name: value for each, value in zip(listed[1:], rest, strict=True)}
        return make(observations, *module.kernels, **named)

    function = tf.function(
        serve,
        input_signature=[tf.TensorSpec(each.shape, each.type, each.name) for each in listed],
        autograph=False,
    )
    tf.saved_model.save(module, str(folder), signatures={signature: function})
