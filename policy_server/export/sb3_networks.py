"""Networks of Stable-Baselines3: from features to what actions follow from."""

from collections.abc import Sequence
from typing import Any

import torch
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from stable_baselines3.common.preprocessing import is_image_space
from torch import nn

from policy_server.export.spaces import Leaf, kind_of
from policy_server.export.torch_network import lstm_step, observed, one_hot


class Network(nn.Module):
    """Features, float32[B, F], to one named output; below are one for each kind of policy.

    Args:
        policy: Has the features extractor: the policy, or its actor or Q-network.
        extractor: That features extractor.
        leaves: Of the observation space.
    """

    output = "output"

    def __init__(self, policy: Any, extractor: Any, leaves: Sequence[Leaf]) -> None:
        super().__init__()
        self.policy, self.extractor = policy, extractor
        self.leaves, self.space = leaves, policy.observation_space

    def forward(self, features: Any) -> Any:
        """One output by its name, float32[B, W]."""
        return {self.output: self.of_latent(self.extracted(features))}

    def extracted(self, features: Any) -> Any:
        """What the features extractor makes of features."""
        images = self.policy.normalize_images
        return self.extractor(prepared(observed(features, self.leaves), self.space, images))

    def of_latent(self, latent: Any) -> Any:
        """The output, from what the features extractor gave."""
        raise NotImplementedError


def prepared(observation: Any, space: Any, images: bool) -> Any:
    """What `preprocess_obs` makes of observations, of operations that every file can hold.

    Args:
        observation: A tensor, float32[B, ...], or a dictionary of such.
        space: That the policy was made for: images have their channels first.
        images: Whether these are divided by 255.
    """
    kind = kind_of(space)
    if kind == "Dict":
        return {key: prepared(observation[key], space[key], images) for key in space.spaces}
    if kind == "Discrete":
        return one_hot(observation, int(space.n))
    if kind == "MultiDiscrete":
        columns = observation.reshape(-1, len(space.nvec))
        return torch.cat(
            [one_hot(columns[:, at], int(count)) for at, count in enumerate(space.nvec)], dim=1
        )
    if is_image_space(space):
        if observation.shape[1:] != space.shape:
            observation = observation.permute(0, 3, 1, 2)
        return observation / 255.0 if images else observation
    return observation


class ActorCriticNetwork(Network):
    """Of PPO, A2C, TRPO and MaskablePPO."""

    def __init__(self, policy: Any, leaves: Sequence[Leaf]) -> None:
        super().__init__(policy, policy.pi_features_extractor, leaves)
        self.output = "mean_log_std" if kind_of(policy.action_space) == "Box" else "logits"
        if policy.squash_output:
            self.output = "squashed_mean_log_std"
        if kind_of(policy.action_space) == "MultiBinary":
            self.output = "binary_logits"

    def of_latent(self, latent: Any) -> Any:
        """Logits, or mean and log standard deviation."""
        latent = self.policy.mlp_extractor.forward_actor(latent)
        found = self.policy.action_net(latent)
        if kind_of(self.policy.action_space) != "Box":
            return found
        return with_log_std(found, self.policy.log_std, self.policy.action_dist, latent)


class RecurrentNetwork(ActorCriticNetwork):
    """Of RecurrentPPO: takes hidden and cell states too, float32[B, L * H], and gives the next."""

    def forward(self, features: Any, h_in: Any, c_in: Any) -> Any:  # type: ignore[override]
        """The output, and the next states."""
        latent, h_out, c_out = lstm_step(
            self.policy.lstm_actor, self.extracted(features), h_in, c_in
        )
        return {self.output: self.of_latent(latent), "h_out": h_out, "c_out": c_out}


class SquashedNetwork(Network):
    """Of the actors of SAC and TQC."""

    output = "squashed_mean_log_std"

    def __init__(self, policy: Any, leaves: Sequence[Leaf]) -> None:
        super().__init__(policy.actor, policy.actor.features_extractor, leaves)

    def of_latent(self, latent: Any) -> Any:
        """Mean and log standard deviation before the tanh."""
        actor = self.policy
        latent = actor.latent_pi(latent)
        mean = actor.mu(latent)
        if actor.use_sde:
            return with_log_std(mean, actor.log_std, actor.action_dist, latent)
        return torch.cat([mean, torch.clamp(actor.log_std(latent), -20, 2)], dim=1)


class DeterministicNetwork(Network):
    """Of the actors of TD3 and DDPG."""

    output = "means"

    def __init__(self, policy: Any, leaves: Sequence[Leaf]) -> None:
        super().__init__(policy.actor, policy.actor.features_extractor, leaves)

    def of_latent(self, latent: Any) -> Any:
        """The action, from -1 to 1."""
        return self.policy.mu(latent)


class ValueNetwork(Network):
    """Of DQN and QR-DQN."""

    output = "q_values"

    def __init__(self, policy: Any, leaves: Sequence[Leaf]) -> None:
        networks = (getattr(policy, name, None) for name in ("q_net", "quantile_net"))
        network = next(each for each in networks if each is not None)
        super().__init__(network, network.features_extractor, leaves)

    def of_latent(self, latent: Any) -> Any:
        """A value for each action."""
        if hasattr(self.policy, "q_net"):
            return self.policy.q_net(latent)
        quantiles = self.policy.quantile_net(latent)
        return quantiles.reshape(-1, self.policy.n_quantiles, self.policy.action_space.n).mean(1)


def with_log_std(mean: Any, log_std: Any, distribution: Any, latent: Any) -> Any:
    """Mean and log standard deviation side by side.

    Args:
        mean: float32[B, D].
        log_std: A parameter of the policy.
        distribution: Of the policy: with state-dependent exploration, noise depends on `latent`.
        latent: float32[B, L].
    """
    if isinstance(distribution, StateDependentNoiseDistribution):
        variance = torch.mm(latent**2, distribution.get_std(log_std) ** 2) + distribution.epsilon
        return torch.cat([mean, 0.5 * torch.log(variance)], dim=1)
    return torch.cat([mean, log_std.expand_as(mean)], dim=1)
