"""The network of a Stable-Baselines3 policy, made of its weights by their names and shapes."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from policy_server.proving.onnx_writing import OnnxWriter
from policy_server.proving.stable_baselines3_layers import (
    ACTIVATIONS,
    Array,
    Deviations,
    GrowingNetwork,
    Layer,
    Outcome,
    UnknownNetwork,
)
from policy_server.proving.stable_baselines3_settings import ON_POLICY, Settings

LOG_STD_BOUNDS = (-20.0, 2.0)
"""Of SAC and TQC."""
LEAST_VARIANCE = 1e-6
"""Added to each variance of state-dependent exploration, and below the logarithm of `use_expln`."""


def write_network(weights: Mapping[str, Array], settings: Settings, path: Path) -> Outcome:
    """Write the network of a policy as ONNX.

    Raises:
        UnknownNetwork: Its weights are others than those of its algorithm's MLP.
    """
    make = MAKERS.get(settings.algorithm)
    if make is None:
        raise UnknownNetwork(f"networks of {settings.algorithm} are not read")
    if settings.activation not in ACTIVATIONS:
        raise UnknownNetwork(f"its activation function {settings.activation} is not known")
    network = GrowingNetwork(weights, settings)
    outcome = make(network)
    network.check_all_used()
    network.write(path, outcome.output)
    return outcome


def _on_policy(network: GrowingNetwork) -> Outcome:
    network.hidden(network.layers("mlp_extractor.shared_net"))
    network.hidden(network.layers("mlp_extractor.policy_net"))
    weight, bias = network.layer("action_net")
    kind = network.settings.actions.type
    if kind == "Box":
        return _gaussian(network, weight, bias)
    if kind == "MultiBinary":
        # Two logits for each, the first of which is 0: their softmax is the sigmoid.
        pairs = np.stack([np.zeros_like(weight), weight], 1).reshape(-1, weight.shape[1])
        network.dense((pairs, np.stack([np.zeros_like(bias), bias], 1).ravel()))
        return network.outcome("logits", "logits", (2,) * len(bias))
    network.dense((weight, bias))
    return network.outcome("logits", "logits", _sizes(network, len(bias)))


def _gaussian(network: GrowingNetwork, weight: Array, bias: Array) -> Outcome:
    settings = network.settings
    if settings.exploring:
        deviations = _state_dependent(network.array("log_std", 2), len(bias), settings.expln)
        network.beside(deviations, (weight, bias))
        output = "squashed_mean_log_std" if settings.squashed else "mean_log_std"
        return network.outcome(output, output)
    log_std = network.array("log_std", 1)
    if settings.squashed or log_std.shape != bias.shape:
        raise UnknownNetwork("its deviations are not those of its means")
    # Whatever the observation: no weights, and themselves as biases.
    network.dense((np.vstack([weight, np.zeros_like(weight)]), np.hstack([bias, log_std])))
    return network.outcome("mean_log_std", "mean_log_std")


def _state_dependent(log_std: Array, dimensions: int, expln: bool) -> Deviations:
    """Log standard deviations of generalised state-dependent exploration.

    The noise of an action is a random matrix times the last hidden layer, so its variance is the
    squares of that layer times the squares of the deviations of the matrix.
    """
    deviations = np.exp(log_std.astype(np.float64))
    if expln:
        above = np.log1p(np.maximum(log_std, 0.0).astype(np.float64) + LEAST_VARIANCE) + 1.0
        deviations = np.where(log_std > 0, above, deviations)
    if deviations.shape[1] not in (1, dimensions):
        raise UnknownNetwork("its deviations are not those of its means")
    squares = np.broadcast_to(np.square(deviations), (len(deviations), dimensions)).T

    def write(writer: OnnxWriter, latent: str) -> str:
        squared = writer.call("Mul", latent, latent)
        variance = writer.dense(squared, squares, np.full(dimensions, LEAST_VARIANCE))
        return writer.call("Mul", writer.call("Log", variance), writer.constant(0.5))

    return write


def _soft_actor(network: GrowingNetwork) -> Outcome:
    network.hidden(network.layers("actor.latent_pi"))
    clipped = network.has("actor.mu.0.weight")  # with state-dependent exploration
    mean = network.layer("actor.mu.0" if clipped else "actor.mu")
    if network.has("actor.log_std"):
        log_std = network.array("actor.log_std", 2)
        deviations = _state_dependent(log_std, len(mean[1]), network.settings.expln)
    else:
        deviations = _clipped(network.layer("actor.log_std"))
    network.beside(deviations, mean, network.settings.clip_mean if clipped else 0.0)
    return network.outcome("squashed_mean_log_std", "squashed_mean_log_std")


def _clipped(log_std: Layer) -> Deviations:
    """Log standard deviations of SAC, which a layer gives and bounds hold."""

    def write(writer: OnnxWriter, latent: str) -> str:
        bounds = [writer.constant(each) for each in LOG_STD_BOUNDS]
        return writer.call("Clip", writer.dense(latent, *log_std), *bounds)

    return write


def _deterministic_actor(network: GrowingNetwork) -> Outcome:
    *hidden, last = network.layers("actor.mu") or [network.layer("actor.mu.0")]
    network.hidden(hidden)
    network.dense(last)
    network.through("Tanh")
    return network.outcome("actions", "actions")


def _values(network: GrowingNetwork) -> Outcome:
    return _valued(network, network.layers("q_net.q_net") or [network.layer("q_net.q_net.0")])


def _quantiles(network: GrowingNetwork) -> Outcome:
    name, quantiles = "quantile_net.quantile_net", network.settings.quantiles
    *hidden, (weight, bias) = network.layers(name) or [network.layer(f"{name}.0")]
    if len(bias) % quantiles:
        raise UnknownNetwork(f"its {len(bias)} outputs are not {quantiles} for each action")
    # The mean of linear functions is that of their weights.
    means = weight.astype(np.float64).reshape(quantiles, -1, weight.shape[1]).mean(0)
    return _valued(
        network, [*hidden, (means, bias.astype(np.float64).reshape(quantiles, -1).mean(0))]
    )


def _valued(network: GrowingNetwork, layers: list[Layer]) -> Outcome:
    *hidden, last = layers
    network.hidden(hidden)
    network.dense(last)
    return network.outcome("q_values", "values", _sizes(network, len(last[1])))


def _sizes(network: GrowingNetwork, width: int) -> tuple[int, ...]:
    """Actions of each head, which the space of actions tells."""
    actions = network.settings.actions
    if actions.type not in ("Discrete", "MultiDiscrete"):
        raise UnknownNetwork(f"its actions are {actions.type or 'of no kind that it says'}")
    if actions.counts is None and actions.type == "Discrete":
        return (width,)
    if actions.counts is None or sum(actions.counts) != width:
        raise UnknownNetwork(f"its {width} outputs are not those of its {actions.type} of actions")
    return actions.counts


MAKERS: Mapping[str, Callable[[GrowingNetwork], Outcome]] = {
    **dict.fromkeys(ON_POLICY, _on_policy),
    **dict.fromkeys(("SAC", "TQC"), _soft_actor),
    **dict.fromkeys(("TD3", "DDPG"), _deterministic_actor),
    "DQN": _values,
    "QRDQN": _quantiles,
}
