"""The network of a Stable-Baselines3 policy, made of its weights by their names and shapes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.proving.onnx_writing import OnnxWriter
from policy_server.proving.stable_baselines3_settings import ON_POLICY, Settings

Array = NDArray[Any]
Layer = tuple[Array, Array]
"""Weights [W, F] and biases [W]."""
Deviations = Callable[[OnnxWriter, str], str]
"""Writes log standard deviations, made of a hidden layer."""
LOG_STD_BOUNDS = (-20.0, 2.0)
"""Of SAC and TQC."""
BESIDE = (
    *(
        "value_net.",
        "mlp_extractor.value_net.",
        "vf_features_extractor.",
        "critic.",
        "actor_target.",
    ),
    *("critic_target.", "q_net_target.", "quantile_net_target."),
)
"""Beginnings of the names of weights that decide on no action."""
ACTIVATIONS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "Tanh": ("Tanh", {}),
    "ReLU": ("Relu", {}),
    "ELU": ("Elu", {}),
    "LeakyReLU": ("LeakyRelu", {}),
    "SELU": ("Selu", {}),
    "GELU": ("Gelu", {}),
    "Mish": ("Mish", {}),
    "Sigmoid": ("Sigmoid", {}),
    "Softplus": ("Softplus", {}),
    "Softsign": ("Softsign", {}),
    "Identity": ("Identity", {}),
}
"""Operations of ONNX by PyTorch's classes, whose defaults are the same."""
SCALED = ("actions", "squashed_mean_log_std")
"""Readings of actions in [-1, 1], which training scales to the bounds of their space."""
LEAST_VARIANCE = 1e-6
"""Added to each variance of state-dependent exploration, and below the logarithm of `use_expln`."""


class UnknownNetwork(ValueError):
    """Weights that are not those of a network known here; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What the network puts out.

    Attributes:
        output: Name of its output.
        reads: What its numbers stand for, in the word of model.yaml.
        sizes: Actions of each head; None where the actions are real numbers.
        widths: Numbers that each of its layers takes, and those that the last one puts out.
        action_range: What stands for the bounds of its actions, where training scaled them.
    """

    output: str
    reads: str
    sizes: tuple[int, ...] | None
    widths: tuple[int, ...]
    action_range: tuple[float, float] | None = None


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
    network = _Network(weights, settings)
    outcome = make(network)
    network.check_all_used()
    network.write(path, outcome.output)
    return outcome


class _Network:
    """A network that grows from its observations to its output.

    Attributes:
        widths: Numbers after each of its layers, the observations first.
    """

    def __init__(self, weights: Mapping[str, Array], settings: Settings) -> None:
        self.settings = settings
        self._weights = weights
        self._used: set[str] = set()
        self._writer: OnnxWriter | None = None
        self._at = "obs"
        self.widths: list[int] = []

    def array(self, name: str, axes: int) -> Array:
        """The weights of a name."""
        array = self._weights.get(name)
        if array is None or array.ndim != axes or not array.size:
            shape = "none" if array is None else list(array.shape)
            raise UnknownNetwork(f"it has {shape} for `{name}`, where an array of {axes} is wanted")
        self._used.add(name)
        return array

    def has(self, name: str) -> bool:
        """There are weights of a name."""
        return name in self._weights

    def layer(self, name: str) -> Layer:
        """The dense layer of a name."""
        weight, bias = self.array(f"{name}.weight", 2), self.array(f"{name}.bias", 1)
        if len(weight) != len(bias):
            raise UnknownNetwork(f"`{name}` has {len(weight)} outputs and {len(bias)} biases")
        return weight, bias

    def layers(self, name: str) -> list[Layer]:
        """Dense layers in a row, with an activation after each: every other number is one."""
        layers: list[Layer] = []
        while self.has(f"{name}.{2 * len(layers)}.weight"):
            layers.append(self.layer(f"{name}.{2 * len(layers)}"))
        return layers

    def dense(self, layer: Layer) -> None:
        """Go through a dense layer."""
        weight, bias = layer
        if not self.widths:
            self.widths = [weight.shape[1]]
            self._writer = OnnxWriter(weight.shape[1])
        if weight.shape[1] != self.widths[-1]:
            raise UnknownNetwork(
                f"a layer takes {weight.shape[1]} numbers, and gets {self.widths[-1]}"
            )
        self._at = self.writer.dense(self._at, weight, bias)
        self.widths.append(len(weight))

    def hidden(self, layers: list[Layer]) -> None:
        """Go through dense layers, and the activation after each."""
        operation, attributes = ACTIVATIONS[self.settings.activation]
        for layer in layers:
            self.dense(layer)
            self.through(operation, **attributes)

    def through(self, operation: str, *constants: float, **attributes: float) -> None:
        """Go through an operation that keeps the width."""
        sources = [self.writer.constant(each) for each in constants]
        self._at = self.writer.call(operation, self._at, *sources, **attributes)

    def beside(self, other: Deviations, mean: Layer, clip: float = 0.0) -> None:
        """Go through a dense layer, clipped or not, and lay beside it what `other` makes."""
        latent = self._at
        self.dense(mean)
        if clip > 0.0:
            self.through("Clip", -clip, clip)
        self._at = self.writer.call("Concat", self._at, other(self.writer, latent), axis=1)
        self.widths[-1] *= 2

    @property
    def writer(self) -> OnnxWriter:
        """Writes the nodes."""
        if self._writer is None:
            raise UnknownNetwork("it has no layers")
        return self._writer

    def check_all_used(self) -> None:
        """Raise UnknownNetwork where weights are left over: something else is computed by them."""
        left = [
            name for name in self._weights if name not in self._used and not name.startswith(BESIDE)
        ]
        if left:
            raise UnknownNetwork(f"its weights `{left[0][:100]}` are none of an MLP's")

    def write(self, path: Path, output: str) -> None:
        """Write the network."""
        self.writer.write(path, self._at, output, self.widths[-1])

    def outcome(self, output: str, reads: str, sizes: tuple[int, ...] | None = None) -> Outcome:
        """What it is now."""
        scaled = (-1.0, 1.0) if reads in SCALED else None
        return Outcome(output, reads, sizes, tuple(self.widths), scaled)


def _on_policy(network: _Network) -> Outcome:
    network.hidden(network.layers("mlp_extractor.shared_net"))
    network.hidden(network.layers("mlp_extractor.policy_net"))
    weight, bias = network.layer("action_net")
    kind = network.settings.actions.kind
    if kind == "Box":
        return _gaussian(network, weight, bias)
    if kind == "MultiBinary":
        # Two logits for each, the first of which is 0: their softmax is the sigmoid.
        pairs = np.stack([np.zeros_like(weight), weight], 1).reshape(-1, weight.shape[1])
        network.dense((pairs, np.stack([np.zeros_like(bias), bias], 1).ravel()))
        return network.outcome("logits", "logits", (2,) * len(bias))
    network.dense((weight, bias))
    return network.outcome("logits", "logits", _sizes(network, len(bias)))


def _gaussian(network: _Network, weight: Array, bias: Array) -> Outcome:
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


def _soft_actor(network: _Network) -> Outcome:
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


def _deterministic_actor(network: _Network) -> Outcome:
    *hidden, last = network.layers("actor.mu") or [network.layer("actor.mu.0")]
    network.hidden(hidden)
    network.dense(last)
    network.through("Tanh")
    return network.outcome("actions", "actions")


def _values(network: _Network) -> Outcome:
    return _valued(network, network.layers("q_net.q_net") or [network.layer("q_net.q_net.0")])


def _quantiles(network: _Network) -> Outcome:
    name, quantiles = "quantile_net.quantile_net", network.settings.quantiles
    *hidden, (weight, bias) = network.layers(name) or [network.layer(f"{name}.0")]
    if len(bias) % quantiles:
        raise UnknownNetwork(f"its {len(bias)} outputs are not {quantiles} for each action")
    # The mean of linear functions is that of their weights.
    means = weight.astype(np.float64).reshape(quantiles, -1, weight.shape[1]).mean(0)
    return _valued(
        network, [*hidden, (means, bias.astype(np.float64).reshape(quantiles, -1).mean(0))]
    )


def _valued(network: _Network, layers: list[Layer]) -> Outcome:
    *hidden, last = layers
    network.hidden(hidden)
    network.dense(last)
    return network.outcome("q_values", "values", _sizes(network, len(last[1])))


def _sizes(network: _Network, width: int) -> tuple[int, ...]:
    """Actions of each head, which the space of actions tells."""
    actions = network.settings.actions
    if actions.kind not in ("Discrete", "MultiDiscrete"):
        raise UnknownNetwork(f"its actions are {actions.kind or 'of no kind that it says'}")
    if actions.counts is None and actions.kind == "Discrete":
        return (width,)
    if actions.counts is None or sum(actions.counts) != width:
        raise UnknownNetwork(f"its {width} outputs are not those of its {actions.kind} of actions")
    return actions.counts


MAKERS: Mapping[str, Callable[[_Network], Outcome]] = {
    **dict.fromkeys(ON_POLICY, _on_policy),
    **dict.fromkeys(("SAC", "TQC"), _soft_actor),
    **dict.fromkeys(("TD3", "DDPG"), _deterministic_actor),
    "DQN": _values,
    "QRDQN": _quantiles,
}
