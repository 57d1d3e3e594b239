"""Exports agents of CleanRL's scripts: PPO, DQN, SAC, TD3 and DDPG, of one's own spaces too.

    python export_policy.py --agent ppo:Agent --checkpoint ppo.cleanrl_model
        --env CartPole-v1 --output folder

Or in Python, at the end of a script: `export(agent, envs.envs[0], "folder")`; of SAC, TD3 and DDPG
the actor, of DQN the Q-network.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from policy_server.export.command_line import named
from policy_server.export.folder import write_folder
from policy_server.export.spaces import ExportRefused, kind_of
from policy_server.export.statistics import statistics_of
from policy_server.export.torch_network import observed
from policy_server.export.torch_policy import TorchPolicy
from policy_server.export.trained import Decided, Normalise, Options

OPTIONS = {
    "agent": "`module:class` of the agent, the actor (SAC, TD3, DDPG) or the Q-network (DQN).",
    "normalisation": "A .npz of the statistics of NormalizeObservation, if training used it.",
}
REQUIRED = ("agent",)


class CleanRLPolicy(TorchPolicy):
    """An agent whose attributes say what it is, as CleanRL's scripts have them.

    Args:
        agent: Of a script.
        env: The environment, whose observations are not normalised.
        normalise: What training did to observations.
    """

    def __init__(self, agent: Any, env: Any, normalise: Normalise | None = None) -> None:
        network, reads = _network_of(agent, env.action_space)
        action_range = (-1.0, 1.0) if reads == "squashed_mean_log_std" else None
        super().__init__(network, env, reads, action_range, normalise)
        self.action_space = _clipped_to(env)
        self.agent, self.framework = agent.eval(), f"CleanRL's {type(agent).__name__}"
        if action_range is not None:
            _check_scale(agent, self.action_space)

    def decide(self, observation: Any, state: Any, mask: Any) -> Decided:
        """As of any network; the agent's own probabilities or densities must be those."""
        decided = super().decide(observation, state, mask)
        if not hasattr(self.agent, "get_action_and_value"):
            return decided
        assert decided.inputs is not None
        with torch.no_grad():
            seen = observed(torch.from_numpy(self.features(observation))[None], self.leaves)
            if self.description.reads == "logits":
                actions = torch.arange(len(decided.inputs))
                rows = seen.expand(len(actions), *seen.shape[1:])
                logs = self.agent.get_action_and_value(rows, actions)[1]
                return decided._replace(inputs=None, probabilities=logs.exp().numpy())
            mean, log_std = torch.from_numpy(decided.inputs)[None].chunk(2, dim=1)
            other = mean + log_std.exp()
            stated = self.agent.get_action_and_value(seen, other)[1].item()
            found = torch.distributions.Normal(mean, log_std.exp()).log_prob(other).sum().item()
        if not np.isclose(stated, found, rtol=1e-4, atol=1e-4):
            raise ExportRefused(
                f"The agent's own log density is {stated}, and that of `actor_mean` and "
                f"`actor_logstd` {found}: it draws from something else. Use the export of `torch`."
            )
        return decided


def _network_of(agent: Any, action_space: Any) -> tuple[Any, str]:
    """What of an agent decides, and how its output is read."""
    if kind_of(action_space) == "Box":
        if hasattr(agent, "actor_mean") and hasattr(agent, "actor_logstd"):
            return _Gaussian(agent), "mean_log_std"
        if hasattr(agent, "action_scale") and hasattr(agent, "fc_logstd"):
            return agent, "squashed_mean_log_std"
        if hasattr(agent, "action_scale"):
            return agent, "means"
    elif kind_of(action_space) == "Discrete":
        if hasattr(agent, "actor") and hasattr(agent, "get_action_and_value"):
            return _Actor(agent), "logits"
        if isinstance(getattr(agent, "network", None), torch.nn.Module):
            return agent, "values"
    raise ExportRefused(
        f"{type(agent).__name__} is not built as the agents of CleanRL's PPO, DQN, SAC, TD3 and "
        "DDPG are: say how its output is read with the export of `torch`."
    )


class _Gaussian(torch.nn.Module):
    """Mean and log standard deviation of PPO for real actions."""

    def __init__(self, agent: Any) -> None:
        super().__init__()
        self.agent = agent

    def forward(self, observation: Any) -> Any:
        return self.agent.actor_mean(observation), self.agent.actor_logstd


class _Actor(torch.nn.Module):
    """Logits of PPO; `network` is what its variants for images have before the actor."""

    def __init__(self, agent: Any) -> None:
        super().__init__()
        self.agent = agent

    def forward(self, observation: Any) -> Any:
        if hasattr(self.agent, "network"):
            return self.agent.actor(self.agent.network(observation / 255.0))
        return self.agent.actor(observation)


def _check_scale(agent: Any, space: Any) -> None:
    """Raise where the actor scales tanh to other bounds than those of the action space."""
    scale, bias = (np.ravel(getattr(agent, name)) for name in ("action_scale", "action_bias"))
    middle, half = (space.high + space.low) / 2, (space.high - space.low) / 2
    if not (np.allclose(scale, half.ravel()) and np.allclose(bias, middle.ravel())):
        raise ExportRefused(
            f"The actor's actions go from {bias - scale} to {bias + scale}, the environment's from "
            f"{space.low} to {space.high}: make it with the bounds that training had."
        )


def export(agent: Any, env: Any, folder: str, normalisation: Any = None, **options: Any) -> None:
    """Write an agent as a folder that `policy-server publish` takes.

    Args:
        agent: Of PPO; of SAC, TD3 and DDPG the actor, of DQN the Q-network.
        env: Of Gymnasium, as training had it. Of its wrappers NormalizeObservation, if it has one,
            is taken away, and its statistics go along.
        folder: Where to.
        normalisation: Statistics, where `env` has no such wrapper: see `statistics_of`.
        options: As of `Options`.
    """
    bare, found = _without_normalisation(env)
    normalise = statistics_of(normalisation if found is None else found)
    write_folder(CleanRLPolicy(agent, bare, normalise), bare, folder, Options(**options))


def _without_normalisation(env: Any) -> tuple[Any, Normalise | None]:
    """What lies below NormalizeObservation, and its statistics with the clip that lies above."""
    clip: float | None = None
    each = env
    while isinstance(each, gymnasium.Wrapper):
        if type(each).__name__ == "NormalizeObservation":
            found = statistics_of(each)
            assert found is not None
            return each.env, Normalise(found.mean, found.variance, None, found.epsilon, clip)
        if type(each).__name__ == "TransformObservation":
            clip = _clip_of(each)
        each = each.env
    return env, None


def _clipped_to(env: Any) -> Any:
    """The action space below ClipAction, which says itself that it takes any numbers."""
    space, each = env.action_space, env
    while isinstance(each, gymnasium.Wrapper):
        if type(each).__name__ == "ClipAction":
            space = each.env.action_space
        each = each.env
    return space


def _clip_of(wrapper: Any) -> float:
    """What a function of CleanRL's, `np.clip(obs, -10, 10)`, clips to."""
    shape = wrapper.observation_space.shape
    ends = [np.unique(wrapper.func(np.full(shape, sign * 1e30))) for sign in (-1, 1)]
    inner = np.unique(wrapper.func(np.full(shape, 0.125)))
    if not (len(ends[0]) == len(ends[1]) == 1 and ends[0] == -ends[1] and list(inner) == [0.125]):
        raise ExportRefused(
            "The environment's TransformObservation does more than to clip: do it before "
            "NormalizeObservation, or within the network."
        )
    return float(ends[1][0])


def export_checkpoint(given: Mapping[str, str], env: Any, options: Options) -> None:
    """Write the folder of a `.cleanrl_model`."""
    vectors = gymnasium.vector.SyncVectorEnv([lambda: env])
    agent = named(given["agent"])(vectors)
    weights = torch.load(Path(given["checkpoint"]), map_location="cpu", weights_only=True)
    try:
        agent.load_state_dict(weights[0] if isinstance(weights, tuple | list) else weights)
    except RuntimeError as error:
        raise ExportRefused(f"{given['checkpoint']} holds no weights of it: {error}") from error
    normalise = statistics_of(given.get("normalisation"))
    write_folder(CleanRLPolicy(agent, env, normalise), env, given["output"], options)
