"""Exports networks of Keras on TensorFlow: from observations to what actions follow from.

    python export_policy.py --reads logits --checkpoint model.keras
        --env CartPole-v1 --output folder

Or in Python, where it was trained: `export(model, env, "folder", reads="logits")`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow

from policy_server.export.command_line import number_pair
from policy_server.export.folder import write_folder
from policy_server.export.reading import check_reading, decided_by
from policy_server.export.spaces import ExportRefused, leaves_of
from policy_server.export.statistics import normalised, statistics_of
from policy_server.export.trained import Decided, Description, Normalise, Options, Trained

OPTIONS = {
    "reads": "What the output is: logits, values, means, mean_log_std, squashed_mean_log_std, ...",
    "action_range": "Its numbers that stand for the bounds of the action space, such as -1,1.",
    "normalisation": "A .npz of the statistics that observations were normalised by.",
}
REQUIRED = ("reads",)


class KerasPolicy(Trained):
    """A model, how it is read, and what is done to observations before.

    Args:
        model: Takes float32[B, ...] of the observation space, or a dictionary of such; returns
            float32[B, W], or several outputs that are laid side by side.
        env: The environment, whose observations are not normalised.
        reads: How its output is read.
        action_range: Its numbers that stand for the bounds of the action space.
        normalise: What training did to observations.
    """

    def __init__(
        self,
        model: Any,
        env: Any,
        reads: str,
        action_range: tuple[float, float] | None = None,
        normalise: Normalise | None = None,
    ) -> None:
        if keras.backend.backend() != "tensorflow":
            raise ExportRefused(
                f"Keras runs on {keras.backend.backend()} here: set KERAS_BACKEND=tensorflow."
            )
        self.framework, self.model = f"Keras's {model.name}", model
        self.observation_space, self.action_space = env.observation_space, env.action_space
        check_reading(reads, self.action_space, action_range)
        self.leaves = leaves_of(self.observation_space, "observation")
        self.description = Description(reads, reads, None, action_range, normalise)

    def output(self, features: Any) -> Any:
        """What the model puts out, float32[B, W], for features, float32[B, F]."""
        parts = {}
        for leaf in self.leaves:
            part = features[:, leaf.start : leaf.start + leaf.size]
            parts[leaf.path] = tensorflow.reshape(part, (-1, *leaf.space.shape))
        given = parts.get((), {path[0]: part for path, part in parts.items() if path})
        found = tensorflow.nest.flatten(self.model(given, training=False))
        return tensorflow.concat(found, axis=1)

    def write_model(self, folder: Path) -> None:
        """Write the folder saved_model."""
        width = sum(leaf.size for leaf in self.leaves)
        spec = tensorflow.TensorSpec((None, width), tensorflow.float32, "observations")
        archive = keras.export.ExportArchive()
        archive.track(self.model)
        archive.add_endpoint(
            "serve",
            lambda observations: {self.description.reads: self.output(observations)},
            input_signature=[spec],
        )
        archive.write_out(str(folder / "saved_model"), verbose=False)

    def decide(self, observation: Any, state: Any, mask: Any) -> Decided:
        """What follows from the output."""
        parts = [np.ravel(leaf.of(observation)) for leaf in self.leaves]
        features = normalised(np.concatenate(parts), self.description.normalise)
        inputs = self.output(tensorflow.constant(features[None])).numpy()
        return decided_by(
            self.description.reads, inputs, self.action_space, self.description.action_range
        )


def export(
    model: Any,
    env: Any,
    folder: str,
    reads: str,
    action_range: tuple[float, float] | None = None,
    normalisation: Any = None,
    **options: Any,
) -> None:
    """Write a model as a folder that `policy-server publish` takes.

    Args:
        model: As of `KerasPolicy`.
        env: Of Gymnasium, as training had it, but without a wrapper that normalises.
        folder: Where to.
        reads: How the output is read: a word of `reads` in model.yaml.
        action_range: Numbers of the output that stand for the bounds of the action space.
        normalisation: What observations were normalised by: see `statistics_of`.
        options: As of `Options`.
    """
    trained = KerasPolicy(model, env, reads, action_range, statistics_of(normalisation))
    write_folder(trained, env, folder, Options(**options))


def export_checkpoint(given: Mapping[str, str], env: Any, options: Options) -> None:
    """Write the folder of what `model.save` wrote."""
    model = keras.saving.load_model(given["checkpoint"], compile=False)
    action_range = number_pair(given, "action_range")
    normalise = statistics_of(given.get("normalisation"))
    trained = KerasPolicy(model, env, given["reads"], action_range, normalise)
    write_folder(trained, env, given["output"], options)
