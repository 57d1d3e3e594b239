"""Activation functions of PyTorch, and softmax."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from policy_server.proving.torch_programs.arithmetic import (
    add,
    clamp,
    erf,
    exp,
    gt,
    log,
    maximum,
    minimum,
    mul,
    neg,
    sigmoid,
    sub,
    tanh,
    where,
)
from policy_server.proving.torch_programs.traced import (
    Array,
    Traced,
    UnknownProgram,
    apply,
    cast,
    lifted,
    real,
)

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def relu(self: Traced) -> Traced:
    """What is positive."""
    return apply("Relu", lambda x: np.maximum(x, 0), self)


def elu(self: Traced, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Traced:
    """Exponential below 0."""
    below = mul(sub(exp(mul(minimum(self, 0.0), input_scale)), 1.0), alpha * scale)
    found: Traced = add(mul(maximum(self, 0.0), scale), below)
    return found


def leaky_relu(self: Traced, negative_slope: float = 0.01) -> Traced:
    """A slope below 0."""
    found: Traced = add(maximum(self, 0.0), mul(minimum(self, 0.0), negative_slope))
    return found


def prelu(self: Traced, weight: Traced) -> Traced:
    """A slope below 0 that was learned, one for all or one for each channel."""
    if weight.array.size > 1 and self.axes > 1:
        shape = (-1, *(1,) * (self.axes - 2))
        weight = Traced(weight.array.reshape(shape))
    found: Traced = add(maximum(self, 0.0), mul(minimum(self, 0.0), weight))
    return found


def softplus(self: Traced, beta: float = 1, threshold: float = 20) -> Traced:
    """log(1 + exp(beta x)) / beta, and x itself above a threshold."""
    scaled = mul(self, beta)
    bounded = minimum(scaled, float(threshold))
    smooth = mul(log(add(exp(bounded), 1.0)), 1.0 / beta)
    return where(lifted(gt(scaled, float(threshold))), self, smooth)


def gelu(self: Traced, approximate: str = "none") -> Traced:
    """By the normal distribution, or nearly."""
    if approximate == "tanh":
        cubic = mul(mul(mul(self, self), self), 0.044715)
        inner = tanh(mul(add(self, cubic), math.sqrt(2 / math.pi)))
    else:
        inner = erf(mul(self, 1 / math.sqrt(2)))
    found: Traced = mul(mul(self, 0.5), add(inner, 1.0))
    return found


def silu(self: Traced) -> Traced:
    """X sigmoid(x)."""
    found: Traced = mul(self, sigmoid(self))
    return found


def mish(self: Traced) -> Traced:
    """X tanh(softplus(x))."""
    found: Traced = mul(self, tanh(softplus(self)))
    return found


def hardtanh(self: Traced, min_val: float = -1, max_val: float = 1) -> Traced:
    """Within two bounds."""
    return clamp(self, min_val, max_val)


def hardsigmoid(self: Traced) -> Traced:
    """A sigmoid of straight lines."""
    found: Traced = mul(clamp(add(self, 3.0), 0.0, 6.0), 1 / 6)
    return found


def hardswish(self: Traced) -> Traced:
    """X hardsigmoid(x)."""
    found: Traced = mul(self, hardsigmoid(self))
    return found


def log_sigmoid(self: Traced) -> Traced:
    """The logarithm of sigmoid."""
    found: Traced = neg(softplus(neg(self)))
    return found


def softmax(self: Traced, dim: int, dtype: Any = None) -> Traced:
    """Shares along an axis."""
    return apply("Softmax", lambda x: _softmax(x, dim), _typed(self, dtype), axis=self.axis(dim))


def log_softmax(self: Traced, dim: int, dtype: Any = None) -> Traced:
    """Logarithms of shares along an axis."""
    given = _typed(self, dtype)

    def compute(array: Array) -> Array:
        shifted = array - array.max(axis=dim, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True)))

    return apply("LogSoftmax", compute, given, axis=self.axis(dim))


def _softmax(array: Array, axis: int) -> Array:
    powers = np.exp(array - array.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def _typed(self: Traced, dtype: Any) -> Traced:
    if dtype in (None, False):  # which is `half_to_float` of the names with an underscore
        return self
    if dtype is True:
        raise UnknownProgram("it computes in half precision")
    return real(self) if not isinstance(dtype, np.dtype) else cast(self, dtype)


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "_log_softmax": lambda self, dim, half_to_float: log_softmax(self, dim, half_to_float),
    "_softmax": lambda self, dim, half_to_float: softmax(self, dim, half_to_float),
    "celu": lambda self, alpha=1.0: elu(self, alpha, 1, 1 / alpha),
    "elu": elu,
    "gelu": gelu,
    "hardsigmoid": hardsigmoid,
    "hardswish": hardswish,
    "hardtanh": hardtanh,
    "leaky_relu": leaky_relu,
    "log_sigmoid": log_sigmoid,
    "log_softmax": log_softmax,
    "mish": mish,
    "prelu": prelu,
    "relu": relu,
    "relu6": lambda self: clamp(self, 0.0, 6.0),
    "selu": lambda self: elu(self, SELU_ALPHA, SELU_SCALE),
    "silu": silu,
    "softmax": softmax,
    "softplus": softplus,
}
"""By the names of PyTorch."""
