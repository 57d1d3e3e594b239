"""Policies of rsl_rl, asked as it asks them: those of version 5, and those of 3 and 4."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from tensordict import TensorDict
from torch import nn

from policy_server.export.recurrent import memory_of, recurrent_step, state_inputs
from policy_server.export.spaces import ExportRefused, Leaf, kind_of, leaves_of
from policy_server.export.torch_network import observed, write_network
from policy_server.export.trained import Decided, Description, Trained

LEAST_STD = 1e-6
"""Of rsl_rl: no standard deviation is below."""
SPREADS = {
    "GaussianDistribution": "fixed",
    "HeteroscedasticGaussianDistribution": "seen",
    "BetaDistribution": "alpha_beta",
}
"""What else than the mean a network's output tells, by distributions of version 5."""


class Parts:
    """What a policy of rsl_rl is made of, whichever its version.

    Args:
        policy: An actor of version 5 (`MLPModel`, `RNNModel`, `CNNModel`), or an `ActorCritic` or
            `ActorCriticRecurrent` of versions 3 and 4.

    Attributes:
        groups: Of observations, in the order in which the network takes them.
        layer: The `nn.LSTM` or `nn.GRU`; None where there is none.
        head: From what was seen (and remembered) to what actions follow from.
        spread: `fixed`: the head gives means; `seen`: means and standard deviations; `alpha_beta`:
            alphas and betas before softplus; `none`: actions.
        in_logarithms: The standard deviations are.
        bounds: Smallest and largest standard deviation.
    """

    def __init__(self, policy: Any) -> None:
        self.policy, self.spread, self.bounds = policy, "none", (LEAST_STD, 1e6)
        self.of_version_5 = hasattr(policy, "mlp")
        if self.of_version_5:
            self.groups = [*policy.obs_groups, *getattr(policy, "obs_groups_2d", [])]
            self.layer = policy.rnn.rnn if policy.is_recurrent else None
            self.head, self.shape = policy.mlp, policy.distribution
            if self.shape is not None:
                self._read_distribution(self.shape)
        elif hasattr(policy, "actor") and hasattr(policy, "act_inference"):
            self.groups = list(policy.obs_groups["policy"])
            self.layer = policy.memory_a.rnn if policy.is_recurrent else None
            self.head, self.shape, self.bounds = policy.actor, policy, (0.0, float("inf"))
            self.spread = "seen" if getattr(policy, "state_dependent_std", False) else "fixed"
            self.in_logarithms = policy.noise_std_type == "log"
        else:
            raise ExportRefused(
                f"{type(policy).__name__} is not known: MLPModel, RNNModel and CNNModel of rsl_rl "
                "are, and ActorCritic and ActorCriticRecurrent of its versions 3 and 4. Give its "
                "network and how its output is read to the export of `torch`."
            )

    def _read_distribution(self, found: Any) -> None:
        kind = next((each.__name__ for each in type(found).__mro__ if each.__name__ in SPREADS), "")
        if not kind:
            raise ExportRefused(
                f"The distribution {type(found).__name__} is not known: {', '.join(SPREADS)} are."
            )
        self.spread = SPREADS[kind]
        if kind != "BetaDistribution":
            self.in_logarithms, self.bounds = found.std_type == "log", tuple(found.std_range)

    def seen(self, groups: Mapping[str, Any]) -> Any:
        """What the head or the recurrent layer takes: groups side by side, normalised."""
        policy = self.policy
        if not self.of_version_5:
            return policy.actor_obs_normalizer(policy.get_actor_obs(groups))
        if self.layer is None:
            return policy.get_latent(groups)
        together = torch.cat([groups[name] for name in policy.obs_groups], dim=1)
        return policy.obs_normalizer(together)

    def outputs(self, found: Any) -> Any:
        """Distribution inputs, float32[B, W], of what the head gave."""
        if self.spread == "none":
            return found
        if self.spread == "alpha_beta":
            return (nn.functional.softplus(found) + 1.0).flatten(1)
        if self.spread == "seen":
            mean, std = found[:, 0], found[:, 1]
        else:
            mean = found
            std = next(
                getattr(self.shape, name)
                for name in ("std_param", "log_std_param", "std", "log_std")
                if isinstance(getattr(self.shape, name, None), nn.Parameter)
            )
        low, high = (torch.tensor(each) for each in self.bounds)
        if self.in_logarithms:
            log_std = torch.clamp(std, torch.log(low), torch.log(high))
        else:
            log_std = torch.log(torch.clamp(std, low, high))
        return torch.cat([mean, log_std.expand_as(mean)], dim=1)


class ActorNetwork(nn.Module):
    """Features, float32[B, F], and states of memory, to one named output and the next states.

    Args:
        parts: Of the policy.
        leaves: Of the observation space, a Dict of groups.
        output: Name of the output.
    """

    def __init__(self, parts: Parts, leaves: Sequence[Leaf], output: str) -> None:
        super().__init__()
        self.parts, self.leaves, self.output = parts, leaves, output
        self.policy = parts.policy

    def forward(self, features: Any, h_in: Any = None, c_in: Any = None) -> Any:
        """The output, float32[B, W], and the states that follow."""
        found = self.parts.seen(observed(features, self.leaves))
        after: dict[str, Any] = {}
        if self.parts.layer is not None:
            states = [state for state in (h_in, c_in) if state is not None]
            found, after = recurrent_step(self.parts.layer, found, states)
        return {self.output: self.parts.outputs(self.parts.head(found)), **after}


class RobotPolicy(Trained):
    """A policy of rsl_rl.

    Args:
        policy: As `Parts` takes it.
        env: Of Gymnasium: its observations are a Box, or a Dict of groups as training had them.
    """

    def __init__(self, policy: Any, env: Any) -> None:
        self.policy = policy.to("cpu").eval()
        self.parts = Parts(self.policy)
        self.framework = f"rsl_rl's {type(policy).__name__}"
        self.action_space = env.action_space
        _check_actions(self.parts, env.action_space)
        self.observation_space = spaces_of_groups(env.observation_space, self.parts.groups)
        reads = {"none": "means", "alpha_beta": "beta"}.get(self.parts.spread, "mean_log_std")
        if kind_of(env.observation_space) == "Dict":
            self.leaves = leaves_of(self.observation_space, "observation")
        else:
            self.observation_space = env.observation_space
            self.leaves = [Leaf((self.parts.groups[0],), "observation", env.observation_space, 0)]
        self.network = ActorNetwork(self.parts, self.leaves, reads)
        self.description = Description(
            reads=reads,
            output=reads,
            action_range=(0.0, 1.0) if self.parts.spread == "alpha_beta" else None,
            memory=memory_of(self.parts.layer),
        )

    def write_model(self, folder: Path) -> None:
        """Write policy.onnx or policy.pt2."""
        inputs = {"features": sum(leaf.size for leaf in self.leaves)}
        if self.parts.layer is not None:
            inputs |= state_inputs(self.parts.layer)
        write_network(self.network, inputs, folder)

    def decide(self, observation: Any, state: Any, mask: Any) -> Decided:
        """What rsl_rl's own inference policy decides, and the distribution behind it."""
        seen = groups_of(observation, self.parts.groups)
        with torch.no_grad():
            action, inputs, after = self._asked(seen, state)
        if not torch.allclose(action, self._applied(inputs), atol=1e-5):
            raise ExportRefused(
                f"The policy gives {action.tolist()} where its distribution's mean is "
                f"{self._applied(inputs).tolist()}: it has a method of its own, which cannot be "
                "exported."
            )
        applied = action.numpy()[0]
        bounded = np.clip(applied, self.action_space.low, self.action_space.high)
        numbers = applied
        if self.parts.spread == "alpha_beta":
            low, high = self.parts.shape.action_range
            numbers = (applied - low) / (high - low)
        return Decided(bounded, numbers.tolist(), inputs.numpy()[0], None, after)

    def _asked(self, seen: Any, state: Any) -> tuple[Any, Any, Any]:
        """Action, distribution inputs, both [1, ...], and the next state, by rsl_rl's code."""
        policy, parts = self.policy, self.parts
        memory = None
        if parts.layer is not None:
            memory = policy.rnn if parts.of_version_5 else policy.memory_a
        if memory is not None:
            memory.reset(hidden_state=state)
        action = policy(seen) if parts.of_version_5 else policy.act_inference(seen)
        after = None if memory is None else memory.hidden_state
        if memory is not None:
            memory.reset(hidden_state=state)
        if parts.spread == "none":
            return action, action, after
        torch.manual_seed(0)
        if parts.of_version_5:
            policy(seen, stochastic_output=True)
            first, second = policy.output_distribution_params
        else:
            policy.act(seen)
            first, second = policy.action_mean, policy.action_std
        second = second if parts.spread == "alpha_beta" else torch.log(second)
        return action, torch.cat([first, second.expand_as(first)], dim=1), after

    def _applied(self, inputs: Any) -> Any:
        """The deterministic action that distribution inputs stand for."""
        if self.parts.spread == "none":
            return inputs
        first, second = inputs.chunk(2, dim=1)
        if self.parts.spread != "alpha_beta":
            return first
        low, high = self.parts.shape.action_range
        return first / (first + second) * (high - low) + low


def spaces_of_groups(space: Any, groups: Sequence[str]) -> Any:
    """The groups of an observation space that the actor takes, in its order."""
    if kind_of(space) != "Dict":
        if len(groups) != 1 or kind_of(space) != "Box":
            raise ExportRefused(
                f"The actor takes the groups {', '.join(groups)}: make an environment whose "
                "observation space is a Dict of a Box for each."
            )
        return space
    left_out = [name for name in groups if name not in space.spaces]
    if left_out or any(kind_of(space[name]) != "Box" for name in groups):
        raise ExportRefused(
            f"The actor takes the groups {', '.join(groups)}, each a Box; the environment has "
            f"{space}."
        )
    return gymnasium.spaces.Dict([(name, space[name]) for name in groups])


def groups_of(observation: Any, groups: Sequence[str]) -> Any:
    """An observation of an environment as rsl_rl takes it, a TensorDict of one row."""
    if not isinstance(observation, Mapping):
        observation = {groups[0]: observation}
    rows = {
        name: torch.as_tensor(np.asarray(observation[name], np.float32))[None] for name in groups
    }
    return TensorDict(rows, batch_size=[1])


def _check_actions(parts: Parts, space: Any) -> None:
    if kind_of(space) != "Box" or len(space.shape) != 1:
        raise ExportRefused(f"The actions of rsl_rl are a Box of one axis, not {space}.")
    if parts.spread == "alpha_beta":
        low, high = parts.shape.action_range
        if not ((space.low == low).all() and (space.high == high).all()):
            raise ExportRefused(
                f"The policy's Beta distribution gives actions from {low} to {high}, the "
                f"environment's action space is {space}: give it these bounds."
            )
