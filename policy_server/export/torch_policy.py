"""A network of PyTorch with a way to read its output."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from policy_server.export.reading import check_reading, decided_by
from policy_server.export.spaces import ExportRefused, Leaf, leaves_of
from policy_server.export.statistics import normalised
from policy_server.export.torch_network import observed, write_network
from policy_server.export.trained import Decided, Description, Normalise, Trained


class Flat(nn.Module):
    """Features to one named output, by a network that takes observations.

    Args:
        network: Takes a tensor float32[B, ...], or a dictionary of such; returns a tensor
            float32[B, W], or several that are laid side by side.
        leaves: Of the observation space.
        output: Name of the output.
    """

    def __init__(self, network: Any, leaves: Sequence[Leaf], output: str) -> None:
        super().__init__()
        self.network, self.leaves, self.output = network, leaves, output

    def forward(self, features: Any) -> Any:
        """The output by its name, float32[B, W]."""
        found = self.network(observed(features, self.leaves))
        if isinstance(found, torch.Tensor):
            return {self.output: found}
        first = found[0]
        return {self.output: torch.cat([each.expand_as(first) for each in found], dim=1)}


class TorchPolicy(Trained):
    """A network, how it is read, and what is done to observations before.

    Args:
        network: As of `Flat`.
        env: The environment, whose observations are not normalised.
        reads: How its output is read.
        action_range: Its numbers that stand for the bounds of the action space.
        normalise: What training did to observations.
        act: Training's own decision on an observation as the network takes it, `act(observation)`;
            compared with what follows from the output.
    """

    def __init__(
        self,
        network: Any,
        env: Any,
        reads: str,
        action_range: tuple[float, float] | None = None,
        normalise: Normalise | None = None,
        act: Any = None,
    ) -> None:
        self.framework = f"PyTorch's {type(network).__name__}"
        self.observation_space, self.action_space = env.observation_space, env.action_space
        check_reading(reads, self.action_space, action_range)
        self.leaves = leaves_of(self.observation_space, "observation")
        self.network = Flat(network.to("cpu").eval(), self.leaves, reads)
        self.act = act
        self.description = Description(reads, reads, None, action_range, normalise)

    def write_model(self, folder: Path) -> None:
        """Write policy.onnx or policy.pt2."""
        write_network(self.network, {"features": sum(leaf.size for leaf in self.leaves)}, folder)

    def features(self, observation: Any) -> Any:
        """An observation as the network takes it, float32[F]."""
        parts = [np.ravel(leaf.of(observation)) for leaf in self.leaves]
        return normalised(np.concatenate(parts), self.description.normalise)

    def decide(self, observation: Any, state: Any, mask: Any) -> Decided:
        """What follows from the output; `act` must agree."""
        features = torch.from_numpy(self.features(observation))[None]
        with torch.no_grad():
            output = self.network(features)
        inputs = output[self.description.reads].numpy()
        decided = decided_by(
            self.description.reads, inputs, self.action_space, self.description.action_range
        )
        if self.act is not None:
            theirs = self.act(observed(features, self.leaves))
            _compare(decided.applied, theirs)
        return decided


def _compare(ours: Any, theirs: Any) -> None:
    numbers = np.ravel(np.asarray(theirs.detach() if hasattr(theirs, "detach") else theirs))
    if not np.allclose(np.ravel(ours), numbers, rtol=1e-4, atol=1e-4):
        raise ExportRefused(
            f"Training's own code decides {numbers}, and what is read of the output is {ours}: "
            "`reads` or `action_range` is another, or the network does not have all that decides."
        )
