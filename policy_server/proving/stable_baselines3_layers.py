"""A network of dense layers that grows from the weights of a Stable-Baselines3 policy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from policy_server.proving.onnx_writing import OnnxWriter
from policy_server.proving.stable_baselines3_settings import Settings

Array = NDArray[Any]
Layer = tuple[Array, Array]
"""Weights [W, F] and biases [W]."""
Deviations = Callable[[OnnxWriter, str], str]
"""Writes log standard deviations, made of a hidden layer."""
BESIDE = (
    *("value_net.", "mlp_extractor.value_net.", "vf_features_extractor.", "critic."),
    *("actor_target.", "critic_target.", "q_net_target.", "quantile_net_target."),
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


class GrowingNetwork:
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
