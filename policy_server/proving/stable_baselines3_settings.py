"""What the member `data` of a Stable-Baselines3 zip says of its network, without its pickles.

`data` is JSON. Each object in it is a pickle in base64, which is left alone, and beside that the
text of each of its attributes, which is read: `"activation_fn": "<class '...activation.ReLU'>"`.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policy_server.proving.foreign.stable_baselines3 import Saved, read_saved

OURS = ("stable_baselines3.", "sb3_contrib.")
"""Packages whose classes of policies compute what is known here."""
ON_POLICY = ("PPO", "A2C", "TRPO", "MaskablePPO")
FLATTEN = "FlattenExtractor"
IMAGE_AXES = 3
CLIP_MEAN = 2.0
"""Where means of SAC are clipped with state-dependent exploration, unless it says otherwise."""
QUANTILES = 200
"""Of QRDQN, unless something else is said."""
MOST = 1e6
"""Of quantiles, and where a mean is clipped."""
CLASS_TEXT = re.compile(r"<class '(?:[\w.]+\.)?(\w+)'>")
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf)", re.IGNORECASE)
WHOLE = re.compile(r"\d{1,9}")
CUT = "..."
"""Stands in the text of a long array for its middle."""


class UnreadableSettings(ValueError):
    """Settings that are not served, or from which the network does not follow; says why."""


@dataclass(frozen=True)
class Space:
    """A space of actions or observations.

    Attributes:
        type: Its class, such as `Box`.
        shape: Of one element; None where that is not said.
        counts: `n` or `nvec`, where its numbers are whole; None where they are not said.
        low: Lowest numbers, where they are real; None where they are not said.
        high: Highest numbers, likewise.
    """

    type: str
    shape: tuple[int, ...] | None = None
    counts: tuple[int, ...] | None = None
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    @property
    def bounds(self) -> list[tuple[float, float]] | None:
        """Lowest and highest of each number; None where they are not said, or not finite."""
        if self.low is None or self.high is None:
            return None
        pairs = list(zip(self.low, self.high, strict=True))
        return pairs if all(math.isfinite(end) for pair in pairs for end in pair) else None


@dataclass(frozen=True)
class Settings:
    """All of the settings on which the network depends.

    Attributes:
        algorithm: `PPO`, `SAC`, ...
        activation: Class of the activation function.
        actions: The space of actions.
        observations: The space of observations.
        exploring: The deviation depends on the state (gSDE).
        expln: Deviations above 1 grow by a logarithm.
        squashed: Means go through tanh before they are actions.
        clip_mean: Where means are clipped, with gSDE; 0 for nowhere.
        quantiles: How many numbers stand for the value of one action.
    """

    algorithm: str
    activation: str
    actions: Space
    observations: Space
    exploring: bool
    expln: bool
    squashed: bool
    clip_mean: float
    quantiles: int


def read_settings(content: bytes) -> Settings:
    """Read the member `data`.

    Raises:
        UnreadableSettings: The network does not follow from it.
    """
    saved = read_saved(content)
    if not saved.algorithm:
        raise UnreadableSettings("it does not say of which algorithm it is")
    fields = json.loads(content)
    options = fields.get("policy_kwargs") or {}
    _check_classes(fields, options)
    observations = _space(fields.get("observation_space"), saved.observations)
    _check_observations(saved, observations)
    activation = options.get("activation_fn")
    return Settings(
        saved.algorithm,
        _default(saved) if activation is None else _class(activation, "activation_fn"),
        _space(fields.get("action_space"), saved.actions),
        observations,
        exploring=saved.exploring or options.get("use_sde") is True,
        expln=options.get("use_expln") is True,
        squashed=saved.squashed,
        clip_mean=_number(options, "clip_mean", CLIP_MEAN),
        quantiles=int(_number(options, "n_quantiles", QUANTILES)),
    )


def _number(options: Mapping[str, Any], name: str, default: float) -> float:
    number = options.get(name, default)
    if not isinstance(number, int | float) or not 0 <= number < MOST:
        raise UnreadableSettings(
            f"its `{name}` is {str(number)[:100]!r}, which is no number for it"
        )
    return number


def _default(saved: Saved) -> str:
    return "Tanh" if saved.algorithm in ON_POLICY else "ReLU"


def _check_classes(fields: Mapping[str, Any], options: Any) -> None:
    """Raise UnreadableSettings where code of the policy's author computes something."""
    if not isinstance(options, dict):
        raise UnreadableSettings("its `policy_kwargs` cannot be read")
    policy = fields.get("policy_class")
    module = str(policy.get("__module__")) if isinstance(policy, dict) else ""
    if not module.startswith(OURS):
        raise UnreadableSettings(f"its class of policies is one of its author's (`{module[:100]}`)")
    extractor = options.get("features_extractor_class")
    if extractor is not None and _class(extractor, "features_extractor_class") != FLATTEN:
        raise UnreadableSettings(f"its features are extracted by `{str(extractor)[:100]}`")


def _check_observations(saved: Saved, space: Space) -> None:
    if saved.observations in ("Dict", "Tuple"):
        raise UnreadableSettings(f"its observations are a {saved.observations}, not one vector")
    if saved.image and len(space.shape or ()) in (0, IMAGE_AXES):
        raise UnreadableSettings("its observations are images")


def _class(text: Any, name: str) -> str:
    """The class that a text names."""
    match = CLASS_TEXT.fullmatch(str(text))
    if match is None:
        raise UnreadableSettings(f"its `{name}` is `{str(text)[:100]}`, which names no class")
    return match[1]


def _space(fields: Any, kind: str) -> Space:
    if not isinstance(fields, dict):
        return Space(kind)
    shape = fields.get("_shape", fields.get("shape"))
    axes = None
    if isinstance(shape, list) and all(isinstance(size, int) for size in shape):
        axes = tuple(shape)
    if kind != "Box":
        return Space(kind, axes, _whole_numbers(fields.get("nvec", fields.get("n"))))
    bounds = [_numbers(fields.get(name)) for name in ("low", "high")]
    count = None if axes is None else math.prod(axes)
    low, high = (each if each is not None and len(each) == count else None for each in bounds)
    return Space(kind, axes, low=low, high=high)


def _whole_numbers(text: Any) -> tuple[int, ...] | None:
    if text is None or CUT in str(text):
        return None
    return tuple(int(number) for number in WHOLE.findall(str(text)))


def _numbers(text: Any) -> tuple[float, ...] | None:
    """All numbers in the text of an array; None where some are left out."""
    if text is None or CUT in str(text):
        return None
    return tuple(float(number) for number in NUMBER.findall(str(text)))
