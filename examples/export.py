"""Write a trained network as a zipped SavedModel whose signature has RLlib's names.

Tag `serve`, signature `serving_default`. Actions are drawn inside the graph, as RLlib does;
`action_dist_inputs` depends on `observations` alone.
"""

import tempfile
import zipfile
from pathlib import Path
from typing import Any

from examples.distributions import Distribution
from examples.network import Network
from examples.quiet_tensorflow import tf


def export_policy(network: Network, distribution: Distribution, path: Path) -> None:
    """Write a policy to a zip file with the SavedModel in its root.

    Args:
        network: Features to distribution inputs and values.
        distribution: What the distribution inputs mean.
        path: Where the zip is written; an old file is replaced.
    """
    module = tf.Module()
    module.weights = network.weights
    serve = tf.function(
        _serving(network, distribution),
        input_signature=_inputs(network, distribution),
        autograph=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={"serving_default": serve})
        _write_zip(Path(folder), path)


def _inputs(network: Network, distribution: Distribution) -> list[Any]:
    """Specifications of the signature's inputs, in the order of `_serving`'s arguments."""
    single = distribution.action_width == 1 and distribution.action_type == tf.int64
    action_shape = [None] if single else [None, distribution.action_width]
    return [
        tf.TensorSpec([None, network.features], tf.float32, "observations"),
        tf.TensorSpec(action_shape, distribution.action_type, "prev_action"),
        tf.TensorSpec([None], tf.float32, "prev_reward"),
        tf.TensorSpec([], tf.bool, "is_training"),
        tf.TensorSpec([None], tf.int32, "seq_lens"),
        tf.TensorSpec([], tf.int64, "timestep"),
    ]


def _serving(network: Network, distribution: Distribution) -> Any:
    """Graph of the signature; all inputs but the observations are there for the callers' sake."""

    def serve(
        observations: Any,
        prev_action: Any,
        prev_reward: Any,
        is_training: Any,
        seq_lens: Any,
        timestep: Any,
    ) -> dict[str, Any]:
        inputs = network.distribution_inputs(observations)
        seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
        actions = distribution.sample(inputs, seed)
        log_probability = distribution.log_probability(inputs, actions)
        return {
            **_named_actions(actions, distribution),
            "action_dist_inputs": inputs,
            "action_prob": tf.exp(log_probability),
            "action_logp": log_probability,
            "vf_preds": network.values(observations),
        }

    return serve


def _named_actions(actions: Any, distribution: Distribution) -> dict[str, Any]:
    """One output int64[B] a head, or the whole action float32[B, K] where it is continuous."""
    if distribution.action_type != tf.int64:
        return {"actions_0": actions}
    return {f"actions_{head}": actions[:, head] for head in range(distribution.action_width)}


def _write_zip(folder: Path, path: Path) -> None:
    """Zip a folder's files; equal files give an equal zip, whatever the clock says."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, file.read_bytes())
