"""Policies of RLlib's new API stack, asked as its environment runners ask them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from torch import nn

from policy_server.export.recurrent import memory_of, recurrent_step, state_inputs
from policy_server.export.rllib_connectors import (
    connector,
    encoded,
    flattened_leaves,
    known_connectors,
    normalisation,
)
from policy_server.export.spaces import ExportRefused, Leaf, kind_of, leaves_of
from policy_server.export.torch_network import observed, write_network
from policy_server.export.trained import Decided, Description, Trained

OUTPUTS = {
    "TorchCategorical": "logits",
    "TorchMultiCategorical": "logits",
    "TorchDiagGaussian": "mean_log_std",
}
"""What the inputs of a distribution are, by its class."""
SPACES = {"logits": ("Discrete", "MultiDiscrete"), "mean_log_std": ("Box",)}


class ModuleNetwork(nn.Module):
    """Features, float32[B, F], and states of memory, to one named output and the next states.

    Args:
        module: Of RLlib, for PyTorch.
        leaves: Of the observation space.
        flat: Those that a FlattenObservations lays side by side; None where there is none.
        output: Name of the output.
    """

    def __init__(
        self, module: Any, leaves: Sequence[Leaf], flat: Sequence[Leaf] | None, output: str
    ) -> None:
        super().__init__()
        self.module, self.leaves, self.flat, self.output = module, leaves, flat, output
        self.recurrent = recurrent_encoder(module)
        self.layer = layer_of(self.recurrent)

    def forward(self, features: Any, h_in: Any = None, c_in: Any = None) -> Any:
        """The output, float32[B, W], and the states that follow."""
        seen = observed(features, self.leaves)
        if self.flat is not None:
            seen = torch.cat([encoded(features, leaf) for leaf in self.flat], dim=1)
        if self.layer is None:
            found = self.module._forward_inference({Columns.OBS: seen})
            return {self.output: found[Columns.ACTION_DIST_INPUTS]}
        if self.recurrent.tokenizer is not None:
            seen = self.recurrent.tokenizer({Columns.OBS: seen})["encoder_out"]
        states = [state for state in (h_in, c_in) if state is not None]
        latent, after = recurrent_step(self.layer, seen, states)
        return {self.output: self.module.pi(latent), **after}


def recurrent_encoder(module: Any) -> Any:
    """The encoder of actions that has a memory; None where a module has none."""
    if not module.is_stateful():
        return None
    encoder = getattr(module, "encoder", None)
    found = getattr(encoder, "actor_encoder", None) or getattr(encoder, "encoder", None)
    if layer_of(found) is None or not hasattr(module, "pi"):
        raise ExportRefused(
            f"The memory of {type(module).__name__} is its own: only the LSTM and GRU that "
            "`use_lstm` of RLlib's default models makes are exported."
        )
    return found


def layer_of(encoder: Any) -> Any:
    """The recurrent layer of an encoder; None where there is none."""
    return getattr(encoder, "lstm", None) or getattr(encoder, "gru", None)


class ModulePolicy(Trained):
    """A policy of RLlib.

    Args:
        module: The RLModule.
        env_to_module: Connectors from observations to what the module takes.
        module_to_env: Connectors from what it gives to actions.
        env: Of Gymnasium, as training had it.
    """

    def __init__(self, module: Any, env_to_module: Any, module_to_env: Any, env: Any) -> None:
        if not isinstance(module, nn.Module):
            raise ExportRefused(f"{type(module).__name__} is no module for PyTorch.")
        self.module, self.before, self.behind = (
            module.to("cpu").eval(),
            env_to_module,
            module_to_env,
        )
        self.framework = f"RLlib's {type(module).__name__}"
        self.observation_space, self.action_space = env.observation_space, env.action_space
        known_connectors(env_to_module, module_to_env)
        self._check_spaces()
        self.leaves = leaves_of(self.observation_space, "observation")
        flat = flattened_leaves(env_to_module, self.leaves)
        output = self._output()
        self.network = ModuleNetwork(self.module, self.leaves, flat, output)
        self.description = Description(
            reads=output,
            output=output,
            action_range=self._action_range(),
            normalise=normalisation(env_to_module, self.leaves, flat),
            memory=memory_of(self.network.layer),
        )

    def _check_spaces(self) -> None:
        trained = self.before.input_observation_space, self.before.input_action_space
        of_env = self.observation_space, self.action_space
        for what, ours, theirs in zip(("observation", "action"), of_env, trained, strict=True):
            if theirs is not None and ours != theirs:
                raise ExportRefused(
                    f"The policy was trained on the {what} space {theirs}, the environment has "
                    f"{ours}: make it with the wrappers and options that training had."
                )
        if kind_of(self.action_space) == "Discrete" and self.action_space.start != 0:
            raise ExportRefused(
                f"RLlib's actions are counted from 0, those of {self.action_space} are not."
            )

    def _output(self) -> str:
        """What the module's output is called and read as, by its distribution."""
        kind = self.module.get_inference_action_dist_cls()
        found = next((each for each in OUTPUTS if each in kind.__name__), None)
        if found is None or kind_of(self.action_space) not in SPACES[OUTPUTS[found]]:
            raise ExportRefused(
                f"Actions of {self.action_space} that are drawn by {kind.__name__} are not "
                f"exported: {', '.join(OUTPUTS)} are. Give the network and how its output is read "
                "to the export of `torch`."
            )
        return OUTPUTS[found]

    def _action_range(self) -> tuple[float, float] | None:
        space, step = self.action_space, connector(self.behind, "NormalizeAndClipActions")
        if kind_of(space) != "Box" or step is None or not step.normalize_actions:
            return None
        bounded = np.isfinite(space.low).all() and np.isfinite(space.high).all()
        return (-1.0, 1.0) if bounded else None

    def write_model(self, folder: Path) -> None:
        """Write policy.onnx or policy.pt2."""
        inputs = {"features": sum(leaf.size for leaf in self.leaves)}
        if self.network.layer is not None:
            inputs |= state_inputs(self.network.layer)
        write_network(self.network, inputs, folder)

    def decide(self, observation: Any, state: Any, mask: Any) -> Decided:
        """What the module and its connectors decide without exploration.

        The state is RLlib's episode, with what was put out for its last observation.
        """
        if state is None:
            episode = SingleAgentEpisode(
                observations=[observation],
                observation_space=self.observation_space,
                action_space=self.action_space,
            )
        else:
            episode, action, extra = state
            episode.add_env_step(observation, action, 0.0, extra_model_outputs=extra)
        more = {"rl_module": self.module, "explore": False, "shared_data": {}}
        batch = self.before(episodes=[episode], **more)
        with torch.no_grad():
            found = self.module.forward_inference(batch)
        if Columns.ACTION_DIST_INPUTS not in found:
            raise ExportRefused(
                f"{type(self.module).__name__} gives {', '.join(found)}, but no distribution."
            )
        inputs = found[Columns.ACTION_DIST_INPUTS].numpy().ravel()
        found = self.behind(batch=found, episodes=[episode], **more)
        action = found[Columns.ACTIONS][0]
        applied = found.get(Columns.ACTIONS_FOR_ENV, found[Columns.ACTIONS])[0]
        if not self.action_space.contains(np.asarray(applied, self.action_space.dtype)):
            raise ExportRefused(
                f"RLlib gives {applied} to the environment, whose action space is "
                f"{self.action_space}: set normalize_actions or clip_actions."
            )
        extra = {name: found[name][0] for name in (Columns.STATE_OUT,) if name in found}
        if kind_of(self.action_space) == "Discrete":
            applied = int(applied)
        return Decided(applied, np.ravel(action).tolist(), inputs, None, (episode, action, extra))
