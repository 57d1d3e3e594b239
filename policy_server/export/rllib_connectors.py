"""Connectors of RLlib: what they do to observations before the network."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ray.rllib.utils.numpy import SMALL_NUMBER

from policy_server.export.spaces import ExportRefused, Leaf, kind_of
from policy_server.export.torch_network import one_hot
from policy_server.export.trained import Normalise

FILTER, FLATTEN = "MeanStdFilter", "FlattenObservations"
BEFORE = (
    *(FILTER, FLATTEN, "AddObservationsFromEpisodesToBatch", "AddTimeDimToBatchAndZeroPad"),
    *("AddStatesFromEpisodesToBatch", "BatchIndividualItems", "NumpyToTensor"),
)
BEHIND = (
    *("GetActions", "TensorToNumpy", "UnBatchToIndividualItems", "ListifyDataForVectorEnv"),
    *("RemoveSingleTsTimeRankFromBatch", "NormalizeAndClipActions"),
)
"""Connectors that are known, before and behind the module: RLlib's own."""


def connector(pipeline: Any, name: str) -> Any:
    """A connector of a pipeline by the name of its class; None where there is none."""
    return next((each for each in pipeline.connectors if type(each).__name__ == name), None)


def known_connectors(before: Any, behind: Any) -> None:
    """Raise ExportRefused where a connector does what nobody knows; stop those that still learn."""
    for pipeline, known in ((before, BEFORE), (behind, BEHIND)):
        for each in pipeline.connectors:
            name, module = type(each).__name__, type(each).__module__
            if name in ("AgentToModuleMapping", "ModuleToAgentUnmapping"):
                raise ExportRefused(
                    "The policy was trained beside others, each for agents of its own: such "
                    "connectors are not exported. The export of `torch` takes its network."
                )
            if name not in known or not module.startswith("ray.rllib."):
                raise ExportRefused(
                    f"The connector {name} is not known: {', '.join(known)} of RLlib are. What it "
                    "does to observations, do in a wrapper of the environment (frames: "
                    "gymnasium.wrappers.FrameStackObservation), and train with that; what it does "
                    "to actions, too."
                )
    names = [type(each).__name__ for each in before.connectors]
    if any(names.count(name) > 1 for name in (FILTER, FLATTEN)):
        raise ExportRefused(f"There are several of a connector: {', '.join(names)}.")
    if (found := connector(before, FILTER)) is not None:
        found._update_stats = False


def flattened_leaves(before: Any, leaves: Sequence[Leaf]) -> list[Leaf] | None:
    """Parts of an observation in the order in which they are laid side by side.

    Args:
        before: The pipeline.
        leaves: Of the observation space.

    Returns:
        None where they are not: the network takes the observation in its own shape.
    """
    found = connector(before, FLATTEN)
    if found is None:
        if len(leaves) != 1 or kind_of(leaves[0].space) != "Box":
            raise ExportRefused(
                "The policy was trained without FlattenObservations on a space that is no Box: "
                "such a network is not exported."
            )
        return None
    kept = [leaf for leaf in leaves if not leaf.path or leaf.path[0] not in found._keys_to_remove]
    return sorted(kept, key=lambda leaf: leaf.path)  # as dm-tree sorts the keys of dictionaries


def encoded(features: Any, leaf: Leaf) -> Any:
    """A part of features as FlattenObservations lays it down: float32[B, ...]."""
    part = features[:, leaf.start : leaf.start + leaf.size]
    if kind_of(leaf.space) == "Discrete":
        return one_hot(part, int(leaf.space.n))
    if kind_of(leaf.space) == "MultiDiscrete":
        counts = [int(count) for count in np.ravel(leaf.space.nvec)]
        return torch.cat([one_hot(part[:, at], n) for at, n in enumerate(counts)], dim=1)
    return part


def normalisation(
    before: Any, leaves: Sequence[Leaf], flat: Sequence[Leaf] | None
) -> Normalise | None:
    """What a MeanStdFilter does to features; None where there is none.

    Args:
        before: The pipeline.
        leaves: Of the observation space.
        flat: As of `flattened_leaves`.
    """
    found = connector(before, FILTER)
    if found is None:
        return None
    whole = [leaf.name for leaf in leaves if leaf.space.dtype.kind != "f"]
    if whole:
        raise ExportRefused(
            f"MeanStdFilter normalises {', '.join(whole)}, which are whole numbers: make them "
            "float32 in a wrapper of the environment, and train with that."
        )
    statistics = found._filters[None].running_stats
    if not hasattr(statistics, "mean"):
        raise ExportRefused(
            "MeanStdFilter normalises the parts of an observation one by one: train with "
            "FlattenObservations before it."
        )
    mean, std = np.ravel(statistics.mean), np.ravel(statistics.std).astype(np.float64)
    order = np.concatenate(
        [np.arange(leaf.start, leaf.start + leaf.size) for leaf in flat or leaves]
    )
    if mean.shape != order.shape:
        raise ExportRefused(f"MeanStdFilter has {mean.size} numbers, observations {order.size}.")
    width = sum(leaf.size for leaf in leaves)
    means, stds = np.zeros(width), np.ones(width)
    epsilon = SMALL_NUMBER if found.de_std_to_one else 0.0
    if found.de_mean_to_zero:
        means[order] = mean
    if found.de_std_to_one:
        stds[order] = std
    return Normalise(means, std=stds, epsilon=epsilon, clip=found.clip_by_value or None)
