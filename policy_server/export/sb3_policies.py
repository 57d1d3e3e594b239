"""Policies of Stable-Baselines3 and sb3-contrib, asked as these ask them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from policy_server.export.recording import action_numbers
from policy_server.export.sb3_networks import (
    ActorCriticNetwork,
    DeterministicNetwork,
    Network,
    RecurrentNetwork,
    SquashedNetwork,
    ValueNetwork,
)
from policy_server.export.spaces import ExportRefused, Leaf, kind_of, leaves_of
from policy_server.export.torch_network import write_network
from policy_server.export.trained import Decided, Description, Normalise, Trained

READS = {"q_values": "values"}
"""Where the name of an output is no word of `reads`."""
NETWORKS: dict[str, Callable[[Any, Sequence[Leaf]], Network]] = {
    **dict.fromkeys(("PPO", "A2C", "TRPO", "MaskablePPO"), ActorCriticNetwork),
    **dict.fromkeys(("SAC", "TQC"), SquashedNetwork),
    **dict.fromkeys(("TD3", "DDPG"), DeterministicNetwork),
    **dict.fromkeys(("DQN", "QRDQN"), ValueNetwork),
    "RecurrentPPO": RecurrentNetwork,
}
"""By algorithm, whose name is its class's or that of one above it."""


class Policy(Trained):
    """A policy of Stable-Baselines3.

    Args:
        model: Of an algorithm that is known.
        env: The environment, not normalised.
        normalisation: VecNormalize, or the file that it was saved in; None where training had none.
    """

    def __init__(self, model: Any, env: Any, normalisation: Any = None) -> None:
        self.model, self.policy = model, model.policy.to("cpu").eval()
        self.algorithm = _algorithm(model)
        self.framework = f"Stable-Baselines3's {type(model).__name__}"
        self.masked = self.algorithm == "MaskablePPO"
        self.observation_space, self.action_space = env.observation_space, model.action_space
        _check_spaces(model, env)
        self.training_returns = [each["r"] for each in model.ep_info_buffer or ()]
        self.normalisation = _vec_normalize(model, env, normalisation)
        self.leaves = leaves_of(self.observation_space, "observation")
        self.network = NETWORKS[self.algorithm](self.policy, self.leaves)
        squashed = self.network.output in ("squashed_mean_log_std", "means")
        self.description = Description(
            reads=READS.get(self.network.output, self.network.output),
            output=self.network.output,
            action_range=(-1.0, 1.0) if squashed else None,
            normalise=_normalise(self.normalisation),
            memory=self._memory(),
        )

    def _memory(self) -> Any:
        if self.algorithm != "RecurrentPPO":
            return None
        return [{"input": f"{each}_in", "output": f"{each}_out"} for each in ("h", "c")]

    def write_model(self, folder: Path) -> None:
        """Write policy.onnx or policy.pt2."""
        inputs = {"features": sum(leaf.size for leaf in self.leaves)}
        if self.algorithm == "RecurrentPPO":
            lstm = self.policy.lstm_actor
            inputs |= dict.fromkeys(("h_in", "c_in"), lstm.num_layers * lstm.hidden_size)
        write_network(self.network, inputs, folder)

    def mask(self, env: Any) -> Any:
        """What `env.action_masks()` says."""
        return np.asarray(env.get_wrapper_attr("action_masks")(), bool).ravel()

    def decide(self, observation: Any, state: Any, mask: Any) -> Decided:
        """What `model.predict` decides, and what it decides by."""
        if self.normalisation is not None:
            observation = self.normalisation.normalize_obs(observation)
        more: dict[str, Any] = {} if mask is None else {"action_masks": mask}
        if self.algorithm == "RecurrentPPO":
            more = {"state": state, "episode_start": np.array([state is None])}
        applied, next_state = self.model.predict(observation, deterministic=True, **more)
        tensor, _ = self.policy.obs_to_tensor(observation)
        with torch.no_grad():
            inputs, probabilities = self._parameters(tensor, state, mask)
        decided = Decided(
            applied, self._numbers(applied, inputs), inputs, probabilities, next_state
        )
        if kind_of(self.action_space) == "Discrete":
            decided = decided._replace(applied=int(applied))
        return decided

    def _numbers(self, applied: Any, inputs: Any) -> Any:
        """An action as the network says it."""
        if kind_of(self.action_space) != "Box":
            return action_numbers(applied, self.action_space)
        if self.description.action_range is not None:
            return np.ravel(self.policy.scale_action(applied))
        mean = inputs[: applied.size]
        low, high = self.action_space.low.ravel(), self.action_space.high.ravel()
        if not np.allclose(np.clip(mean, low, high), np.ravel(applied), atol=1e-5):
            raise ExportRefused(
                f"`predict` gives {np.ravel(applied)} where the distribution's mean is {mean}: the "
                "policy has a `predict` of its own, which cannot be exported."
            )
        return mean

    def _parameters(self, tensor: Any, state: Any, mask: Any) -> tuple[Any, Any]:
        """What a distribution is made of; or the probabilities that it gives."""
        policy, inputs = self.policy, None
        if self.network.output == "q_values":
            if self.algorithm == "DQN":
                inputs = policy.q_net(tensor)
            else:
                inputs = policy.quantile_net(tensor).mean(dim=1)
        elif self.network.output == "means":
            inputs = policy.actor(tensor)
        elif hasattr(policy, "actor"):
            actor = policy.actor
            mean, log_std, more = actor.get_action_dist_params(tensor)
            drawn = actor.action_dist.proba_distribution(mean, log_std, **more).distribution
            inputs = torch.cat([drawn.mean, torch.log(drawn.stddev)], dim=1)
        if inputs is not None:
            return inputs.numpy().ravel(), None
        return _of_distribution(self._distribution(tensor, state, mask))

    def _distribution(self, tensor: Any, state: Any, mask: Any) -> Any:
        if self.algorithm == "RecurrentPPO":
            lstm = self.policy.lstm_actor
            if state is None:
                state = (np.zeros((lstm.num_layers, 1, lstm.hidden_size), np.float32),) * 2
            states = tuple(torch.tensor(each) for each in state)
            return self.policy.get_distribution(tensor, states, torch.zeros(1))[0]
        if self.masked:
            return self.policy.get_distribution(tensor, action_masks=mask)
        return self.policy.get_distribution(tensor)


def _of_distribution(found: Any) -> tuple[Any, Any]:
    """Mean and log standard deviation of a distribution; or its probabilities."""
    drawn = getattr(found, "distribution", None) or found.distributions
    if isinstance(drawn, list):
        return None, torch.cat([each.probs for each in drawn], dim=1).numpy().ravel()
    if hasattr(drawn, "stddev") and hasattr(drawn, "loc"):
        return torch.cat([drawn.mean, torch.log(drawn.stddev)], dim=1).numpy().ravel(), None
    if type(drawn).__name__ == "Bernoulli":
        return drawn.logits.numpy().ravel(), None
    return None, drawn.probs.numpy().ravel()


def _algorithm(model: Any) -> str:
    for each in type(model).__mro__:
        if each.__name__ in NETWORKS:
            return each.__name__
    raise ExportRefused(
        f"{type(model).__name__} is not known: {', '.join(sorted(NETWORKS))} are. Give its network "
        "and how its output is read to the export of `torch`."
    )


def _check_spaces(model: Any, env: Any) -> None:
    for what in ("observation_space", "action_space"):
        of_model, of_env = getattr(model, what), getattr(env, what)
        if not _same(of_model, of_env):
            raise ExportRefused(
                f"The policy was trained on the {what.replace('_', ' ')} {of_model}, the "
                f"environment has {of_env}: make it with the wrappers that training had (a "
                "VecFrameStack as gymnasium.wrappers.FrameStackObservation)."
            )


def _same(of_model: Any, of_env: Any) -> bool:
    """Whether spaces are the same, but for images whose channels VecTransposeImage puts first."""
    if kind_of(of_model) == kind_of(of_env) == "Dict":
        keys = list(of_model.spaces)
        return keys == list(of_env.spaces) and all(
            _same(of_model[key], of_env[key]) for key in keys
        )
    if of_model != of_env and is_image_space(of_model) and is_image_space(of_env):
        return bool(of_env.shape == (*of_model.shape[1:], of_model.shape[0]))
    return bool(of_model == of_env)


def _vec_normalize(model: Any, env: Any, given: Any) -> Any:
    """VecNormalize as it was when training ended; None where training had none."""
    if isinstance(given, str | Path):
        given = VecNormalize.load(str(given), DummyVecEnv([lambda: env]))
    given = given or model.get_vec_normalize_env()
    on_policy = not hasattr(model, "replay_buffer_class")
    if given is None and on_policy and getattr(model, "_last_original_obs", None) is not None:
        raise ExportRefused(
            "The policy was trained on observations that VecNormalize normalised, and its "
            "statistics are not in the checkpoint: give the file that `save` of VecNormalize wrote "
            "(--normalisation vec_normalize.pkl)."
        )
    if given is None or not given.norm_obs:
        return None
    given.training = False
    return given


def _normalise(statistics: Any) -> Normalise | None:
    if statistics is None:
        return None
    if isinstance(statistics.obs_rms, dict):
        keys = list(statistics.observation_space.spaces)
        if set(statistics.obs_rms) != set(keys):
            left = ", ".join(sorted(set(keys) - set(statistics.obs_rms)))
            raise ExportRefused(f"VecNormalize leaves out {left}: normalise all keys, or none.")
        parts = [statistics.obs_rms[key] for key in keys]
    else:
        parts = [statistics.obs_rms]
    return Normalise(
        mean=np.concatenate([np.ravel(each.mean) for each in parts]),
        variance=np.concatenate([np.ravel(each.var) for each in parts]),
        epsilon=float(statistics.epsilon),
        clip=float(statistics.clip_obs),
    )
