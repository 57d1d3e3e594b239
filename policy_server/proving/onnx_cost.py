"""How many multiplications and moves a node of an ONNX network takes, at most."""

import math
from collections.abc import Sequence
from typing import Any

from policy_server.proving.onnx_extent import Extent

PRODUCTS = {"MatMul", "Gemm", "MatMulInteger", "QLinearMatMul", "FusedMatMul"}
CONVOLUTIONS = {"Conv", "ConvInteger", "QLinearConv"}
RECURRENT = {"LSTM", "GRU", "RNN"}
POOLS = {"AveragePool", "MaxPool", "LpPool"}


def steps(node: Any, given: Sequence[Extent | None], made: Sequence[Extent]) -> int:
    """About how many numbers are read, multiplied and written for one run of a node.

    Args:
        node: ONNX's NodeProto.
        given: Its inputs; None for those that are left out.
        made: Its outputs.
    """
    there = [each for each in given if each is not None]
    moved = sum(each.most for each in (*there, *made))
    return moved + _multiplied(node, given, made)


def _multiplied(node: Any, given: Sequence[Extent | None], made: Sequence[Extent]) -> int:
    kind, first = str(node.op_type), given[0] if given else None
    if first is None or not made:
        return 0
    others = [each for each in given[1:] if each is not None]
    out = made[0].most
    if kind in PRODUCTS:
        return out * (max(first.sizes or (first.most,), default=1))
    if kind in CONVOLUTIONS:
        weights = others[2 if kind == "QLinearConv" else 0]
        channels = (weights.sizes or (1,))[0]
        return out * max(1, weights.most // max(channels, 1))
    if kind == "ConvTranspose":
        return first.most * others[0].most // max((others[0].sizes or (1,))[0], 1)
    if kind in RECURRENT:
        rows = math.prod((first.sizes or (first.most,))[:2])
        return rows * sum(each.most for each in others[:2])
    if kind in POOLS:
        return out * math.prod(_numbers(node, "kernel_shape"))
    if kind == "LRN":
        return out * math.prod(_numbers(node, "size"))
    return _rarely_multiplied(node, first, others)


def _rarely_multiplied(node: Any, first: Extent, others: Sequence[Extent]) -> int:
    kind = str(node.op_type)
    if kind == "Einsum":
        return math.prod(max(1, each.most) for each in (first, *others))
    if kind == "Attention":
        return first.most * max([1, *(each.most for each in others[:1])])
    if kind == "Det":
        return first.most * (first.sizes or (first.most,))[-1]
    if kind.startswith("TreeEnsemble") or kind == "SVMRegressor":
        return (first.sizes or (first.most,))[0] * max(
            len(each.ints) + len(each.floats) for each in node.attribute
        )
    return 0


def _numbers(node: Any, name: str) -> list[int]:
    """Whole numbers of an attribute."""
    for each in node.attribute:
        if each.name == name:
            return [*map(int, each.ints)] or [int(each.i)]
    return []
