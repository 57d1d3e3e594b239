"""Layers of PyTorch: products of matrices, convolutions, pools, normalisations, and sums."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from policy_server.proving.torch_programs.arithmetic import add, div, mul, sqrt, square, sub
from policy_server.proving.torch_programs.shapes import reshape, transpose
from policy_server.proving.torch_programs.traced import (
    Array,
    Mismatch,
    Traced,
    UnknownProgram,
    apply,
    check_size,
)

BATCH_STATISTICS = (
    "it normalises by the statistics of the batch, so its rows depend on each other: save it "
    "after `network.eval()`"
)


def matmul(self: Traced, other: Traced) -> Traced:
    """The product of matrices."""
    return apply("MatMul", np.matmul, self, other)


def linear(input: Traced, weight: Traced, bias: Traced | None = None) -> Traced:
    """A dense layer."""
    found = matmul(input, transpose(weight, 0, 1) if weight.axes > 1 else weight)
    return found if bias is None else _traced(add(found, bias))


def addmm(self: Traced, mat1: Traced, mat2: Traced, beta: float = 1, alpha: float = 1) -> Traced:
    """The product of matrices, and an array that is added."""
    return _traced(add(_scaled(self, beta), _scaled(matmul(mat1, mat2), alpha)))


def _scaled(self: Traced, factor: float) -> Traced:
    return self if factor == 1 else _traced(mul(self, factor))


def _traced(found: Any) -> Traced:
    assert isinstance(found, Traced)
    return found


def convolution(
    input: Traced,
    weight: Traced,
    bias: Traced | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    transposed: bool = False,
    output_padding: Any = 0,
    groups: int = 1,
    *_: Any,
) -> Traced:
    """A convolution over one axis or two."""
    if transposed:
        raise UnknownProgram("it holds a transposed convolution")
    return _convolved(input, weight, bias, stride, padding, dilation, groups)


def conv(
    input: Traced,
    weight: Traced,
    bias: Traced | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Traced:
    """A convolution, as modules ask for it."""
    return _convolved(input, weight, bias, stride, padding, dilation, groups)


def _convolved(
    given: Traced,
    weight: Traced,
    bias: Traced | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Traced:
    axes = weight.axes - 2
    if isinstance(padding, str):
        raise UnknownProgram(f"it holds a convolution that is padded by a word (`{padding[:20]}`)")
    if given.axes != axes + 2:
        raise Mismatch(
            "it takes pictures or series, and nothing tells their shape: trace or export it, or "
            "declare one field of that shape in the schema"
        )
    steps, pads, gaps = (each_axis(each, axes) for each in (stride, padding, dilation))

    def compute(array: Array, kernel: Array) -> Array:
        padded = np.pad(array, [(0, 0), (0, 0), *((pad, pad) for pad in pads)])
        return _windowed(padded, kernel, steps, gaps, groups)

    found = apply(
        "Conv",
        compute,
        given,
        weight,
        strides=steps,
        pads=pads * 2,
        dilations=gaps,
        group=groups,
        kernel_shape=list(weight.array.shape[2:]),
    )
    if bias is None:
        return found
    return _traced(add(found, reshape(bias, [1, -1, *(1,) * axes])))


def _windowed(
    array: Array, kernel: Array, steps: Sequence[int], gaps: Sequence[int], groups: int
) -> Array:
    """The sums of products of a convolution, of an array that is padded."""
    axes = kernel.ndim - 2
    spans = [gap * (size - 1) + 1 for gap, size in zip(gaps, kernel.shape[2:], strict=True)]
    places: tuple[Any, ...] = (..., *(slice(None, None, gap) for gap in gaps))
    parts = windows(array, spans, steps)[places]
    taken, outputs = [1, *range(2 + axes, 2 + 2 * axes)], kernel.shape[0] // groups
    found = []
    for group in range(groups):
        channels = slice(group * kernel.shape[1], (group + 1) * kernel.shape[1])
        own = kernel[group * outputs : (group + 1) * outputs]
        found.append(np.tensordot(parts[:, channels], own, (taken, range(1, 2 + axes))))
    return np.moveaxis(np.concatenate(found, -1), -1, 1)


def windows(array: Array, spans: Sequence[int], steps: Sequence[int]) -> Array:
    """Views of an array [B, C, ...] through a window: [B, C, places ..., window ...]."""
    places = tuple(range(2, 2 + len(spans)))
    found = sliding_window_view(array, tuple(spans), places)
    found = found[(slice(None), slice(None), *(slice(None, None, step) for step in steps))]
    check_size(found.shape)
    return found


def each_axis(value: Any, axes: int) -> list[int]:
    """A number for each axis, of which one may stand for all."""
    values = [value] if isinstance(value, int) else list(value)
    return values * axes if len(values) == 1 else values


def max_pool(
    self: Traced,
    kernel_size: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Traced:
    """The largest numbers in a window."""
    axes = self.axes - 2
    spans = each_axis(kernel_size, axes)
    steps, pads = each_axis(stride or spans, axes), each_axis(padding, axes)
    if ceil_mode or set(each_axis(dilation, axes)) != {1}:
        raise UnknownProgram("it holds a pool with gaps, or one that is rounded up")

    def compute(array: Array) -> Array:
        lowest = np.finfo(array.dtype).min
        padded = np.pad(array, [(0, 0), (0, 0), *((p, p) for p in pads)], constant_values=lowest)
        return np.asarray(windows(padded, spans, steps).max(axis=tuple(range(-axes, 0))))

    return apply("MaxPool", compute, self, kernel_shape=spans, strides=steps, pads=pads * 2)


def avg_pool(
    self: Traced,
    kernel_size: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Traced:
    """Means in a window."""
    axes = self.axes - 2
    spans = each_axis(kernel_size, axes)
    steps = each_axis(stride or spans, axes)
    if ceil_mode or divisor_override is not None or any(each_axis(padding, axes)):
        raise UnknownProgram("it holds a pool of means that is padded or rounded up")

    def compute(array: Array) -> Array:
        return np.asarray(windows(array, spans, steps).mean(axis=tuple(range(-axes, 0))))

    return apply("AveragePool", compute, self, kernel_shape=spans, strides=steps)


def adaptive_avg_pool2d(self: Traced, output_size: Any) -> Traced:
    """The mean of each channel."""
    if each_axis(output_size, 2) != [1, 1]:
        raise UnknownProgram(f"it pools to {output_size}, and only pools to 1 are read")
    return reduced("ReduceMean", np.mean, self, [-2, -1], keepdim=True)


def batch_norm(
    input: Traced,
    weight: Traced | None,
    bias: Traced | None,
    running_mean: Traced | None,
    running_var: Traced | None,
    *settings: Any,
    training: bool = False,
    eps: float = 1e-5,
) -> Traced:
    """Normalisation by what training saw."""
    if len(settings) > 1:  # training, momentum, eps, and what computes it
        training, eps = settings[0], settings[2]
    if training or running_mean is None or running_var is None:
        raise UnknownProgram(BATCH_STATISTICS)
    shape = [1, -1, *(1,) * (input.axes - 2)]
    mean, variance = (reshape(each, shape) for each in (running_mean, running_var))
    found = div(sub(input, mean), sqrt(add(variance, eps)))
    found = found if weight is None else mul(found, reshape(weight, shape))
    return _traced(found if bias is None else add(found, reshape(bias, shape)))


def _batch_norm_no_training(
    input: Traced,
    weight: Traced | None,
    bias: Traced | None,
    running_mean: Traced,
    running_var: Traced,
    momentum: float,
    eps: float,
) -> list[Traced]:
    return [batch_norm(input, weight, bias, running_mean, running_var, eps=eps)]


def layer_norm(
    input: Traced,
    normalized_shape: Sequence[int],
    weight: Traced | None = None,
    bias: Traced | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Traced:
    """Normalisation of each row by its own mean and variance."""
    axes = list(range(-len(normalized_shape), 0))
    centred = sub(input, reduced("ReduceMean", np.mean, input, axes, keepdim=True))
    variance = reduced("ReduceMean", np.mean, square(centred), axes, keepdim=True)
    found = div(centred, sqrt(add(variance, eps)))
    found = found if weight is None else mul(found, weight)
    return _traced(found if bias is None else add(found, bias))


def reduced(
    operation: str,
    compute: Callable[..., Any],
    self: Traced,
    dim: Any = None,
    keepdim: bool = False,
) -> Traced:
    """One number made of all along some axes, or of all there are."""
    given = [dim] if isinstance(dim, int) else dim
    axes = [self.axis(axis) for axis in given or range(self.axes)]
    numbers = Traced(np.array(axes, np.int64))

    def run(array: Array, _: Array) -> Array:
        found = compute(array, axis=tuple(axes), keepdims=keepdim)
        return np.asarray(found, array.dtype)

    return apply(operation, run, self, numbers, keepdims=int(keepdim))


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "_convolution": convolution,
    "_native_batch_norm_legit_no_training": _batch_norm_no_training,
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    "addmm": addmm,
    "avg_pool1d": avg_pool,
    "avg_pool2d": avg_pool,
    "batch_norm": batch_norm,
    "bmm": lambda self, mat2: matmul(self, mat2),
    "conv1d": conv,
    "conv2d": conv,
    "convolution": convolution,
    "layer_norm": layer_norm,
    "linear": linear,
    "matmul": matmul,
    "max_pool1d": max_pool,
    "max_pool2d": max_pool,
    "max_pool2d_with_indices": lambda *each, **more: [max_pool(*each, **more)],
    "mm": lambda self, mat2: matmul(self, mat2),
    "native_layer_norm": lambda *each, **more: [layer_norm(*each, **more)],
}
"""By the names of PyTorch."""
