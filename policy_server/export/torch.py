"""Exports networks of PyTorch: from observations to what actions follow from.

    python export_policy.py --agent networks:Actor --reads logits --checkpoint actor.pt
        --env CartPole-v1 --output folder

Or in Python, where it was trained: `export(network, env, "folder", reads="logits")`.
"""

from collections.abc import Mapping
from typing import Any

import torch

from policy_server.export.command_line import named, number_pair
from policy_server.export.folder import write_folder
from policy_server.export.spaces import ExportRefused
from policy_server.export.statistics import statistics_of
from policy_server.export.torch_policy import TorchPolicy
from policy_server.export.trained import Options

OPTIONS = {
    "agent": "`module:function` that makes the network of an environment; a class is one.",
    "reads": "What the output is: logits, values, means, mean_log_std, squashed_mean_log_std, ...",
    "action_range": "Its numbers that stand for the bounds of the action space, such as -1,1.",
    "normalisation": "A .npz of the statistics that observations were normalised by.",
}
REQUIRED = ("agent", "reads")


def export(
    network: Any,
    env: Any,
    folder: str,
    reads: str,
    action_range: tuple[float, float] | None = None,
    normalisation: Any = None,
    act: Any = None,
    **options: Any,
) -> None:
    """Write a network as a folder that `policy-server publish` takes.

    Args:
        network: Takes float32[B, ...] of the observation space, returns float32[B, W], or a tuple
            such as of mean and log standard deviation.
        env: Of Gymnasium, as training had it, but without a wrapper that normalises.
        folder: Where to.
        reads: How the output is read: a word of `reads` in model.yaml.
        action_range: Numbers of the output that stand for the bounds of the action space.
        normalisation: What observations were normalised by: see `statistics_of`.
        act: Training's own deterministic decision, to be compared with.
        options: As of `Options`.
    """
    normalise = statistics_of(normalisation)
    trained = TorchPolicy(network, env, reads, action_range, normalise, act)
    write_folder(trained, env, folder, Options(**options))


def export_checkpoint(given: Mapping[str, str], env: Any, options: Options) -> None:
    """Write the folder of a state_dict that `torch.save` wrote."""
    network = named(given["agent"])(env)
    try:
        weights = torch.load(given["checkpoint"], map_location="cpu", weights_only=True)
        network.load_state_dict(weights)
    except (RuntimeError, OSError, TypeError) as error:
        raise ExportRefused(f"{given['checkpoint']} holds no weights of it: {error}") from error
    trained = TorchPolicy(
        network,
        env,
        given["reads"],
        number_pair(given, "action_range"),
        statistics_of(given.get("normalisation")),
    )
    write_folder(trained, env, given["output"], options)
