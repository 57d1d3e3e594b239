"""What a node of an ONNX network makes, told before the network runs."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.errors import EngineFailed
from policy_server.policy.onnx_session import open_session
from policy_server.proving.onnx_extent import MOST_VALUES, Extent
from policy_server.proving.onnx_file import onnx_package
from policy_server.proving.onnx_operations import (
    ALIASES,
    DRAWING,
    LIKE_THEIR_INPUT,
    SIZED_BY_ATTRIBUTES,
)

Given = Sequence[Extent | None]
INTEGERS = {2, 3, 4, 5, 6, 7, 12, 13}
"""Of ONNX's TensorProto.DataType."""
DRAWN = frozenset(DRAWING.split())
LATER = (11, 13)
"""Versions whose rules allow what ONNX Runtime takes of earlier ones: axes from the end, say."""
NEVER_DIVISORS = (0, -1)
"""By 0 nothing is divided, and the least integer by -1 ends the whole process."""


class Untold(Exception):
    """It cannot be told how large something is, or how long it takes; the message says of what."""


class Nodes:
    """The nodes of one network.

    Args:
        model: ONNX's ModelProto.
    """

    def __init__(self, model: Any) -> None:
        self._onnx = onnx_package()
        self._opsets = list(model.opset_import)
        self._versions = {_domain(each.domain): int(each.version) for each in self._opsets}
        self._ir_version = int(model.ir_version)

    @property
    def opset(self) -> int:
        """The version of ONNX's operations."""
        return self._versions.get("", 1)

    def made(self, node: Any, given: Given) -> list[Extent]:
        """The outputs of a node without subgraphs.

        Raises:
            Untold: Their sizes depend on the observation.
        """
        kind = str(node.op_type)
        if kind == "Constant":
            return [self._constant(node)]
        if kind in ("Shape", "Size") and (told := _shape(node, given[0])) is not None:
            return [told]
        self._check_division(kind, given)
        made = self._sizes(node, given)
        few = all(each.most <= MOST_VALUES for each in made)
        known = all(each is None or each.value is not None for each in given)
        if known and few and kind not in DRAWN:
            return self._values(node, given, made)
        return made

    def _constant(self, node: Any) -> Extent:
        (attribute,) = node.attribute
        value = self._onnx.helper.get_attribute_value(attribute)
        if attribute.name == "value":
            return Extent.of_tensor(value)
        if attribute.name not in ("value_float", "value_floats", "value_int", "value_ints"):
            raise Untold(f"a constant is given as `{attribute.name[:100]}`")
        dtype = np.float32 if "float" in attribute.name else np.int64
        return Extent.of_value(np.array(value, dtype))

    def _check_division(self, kind: str, given: Given) -> None:
        if kind not in ("Div", "Mod") or given[0] is None or given[0].kind not in INTEGERS:
            return
        divisor = given[1]
        if divisor is None or divisor.value is None or np.isin(divisor.value, NEVER_DIVISORS).any():
            raise Untold(
                "whole numbers are divided by what may be 0 or -1, which ends the process that "
                "divides; divide real numbers, or by a constant"
            )

    def _sizes(self, node: Any, given: Given) -> list[Extent]:
        kind = str(node.op_type)
        bound = _bounded(kind, given)
        if kind in LIKE_THEIR_INPUT and given[0] is not None:
            return [given[0].unvalued]
        there = [each for each in given if each is not None]
        exact = all(each.exact for each in there)
        made = []
        for name, told in zip(node.output, self._inferred(node, given), strict=True):
            if told is not None:
                made.append(replace(told, exact=exact))
            elif bound is not None:
                made.append(bound)
            elif not name:
                made.append(Extent.of(1, (0,)))
            elif kind in SIZED_BY_ATTRIBUTES:
                raise Untold("how much it makes depends on the numbers of the observation")
            else:
                made.append(_at_most(kind, there))
        return made

    def _inferred(self, node: Any, given: Given) -> list[Extent | None]:
        """By ONNX's own rules; None for outputs of which they say too little."""
        domain = _domain(node.domain)
        there = dict(zip(node.input, given, strict=True))
        types = {name: each.type_proto() for name, each in there.items() if each is not None}
        values = {
            name: self._onnx.numpy_helper.from_array(each.value, name)
            for name, each in there.items()
            if each is not None and each.value is not None
        }
        declared = self._versions.get(domain, 1)
        for version in [declared, *(each for each in LATER if each > declared and not domain)]:
            try:
                found = self._onnx.shape_inference.infer_node_outputs(
                    self._onnx.defs.get_schema(str(node.op_type), version, domain),
                    node,
                    types,
                    values,
                    opset_imports=self._opsets,
                    ir_version=self._ir_version,
                )
            except Exception:  # ONNX's own errors have no common root
                continue
            return [_told(found.get(name)) for name in node.output]
        return [None] * len(node.output)

    def _values(self, node: Any, given: Given, made: list[Extent]) -> list[Extent]:
        """Outputs that follow from numbers that are known, computed as serving would."""
        helper = self._onnx.helper
        names = dict(zip(node.input, given, strict=True))
        inputs = {name: each.value for name, each in names.items() if each is not None}
        values = [
            helper.make_tensor_value_info(name, each.kind, each.sizes)
            for name, each in names.items()
            if each is not None
        ]
        outputs = [
            helper.make_tensor_value_info(name, each.kind, None)
            for name, each in zip(node.output, made, strict=True)
            if name
        ]
        graph = helper.make_graph([node], "node", values, outputs)
        model = helper.make_model(graph, opset_imports=self._opsets, ir_version=self._ir_version)
        try:
            found: list[NDArray[Any]] = open_session(model.SerializeToString()).run(None, inputs)
        except EngineFailed:
            return made
        except Exception:  # the runtime's own: it will fail so where it serves
            return made
        if any(each.dtype == object for each in found):
            return made
        told = iter(found)
        return [
            Extent.of_value(np.asarray(next(told))) if name else each
            for name, each in zip(node.output, made, strict=True)
        ]


def _domain(name: str) -> str:
    return ALIASES.get(name, name)


def _shape(node: Any, source: Extent | None) -> Extent | None:
    if source is None or source.sizes is None or not source.exact:
        return None
    if node.op_type == "Size":
        return Extent.of_value(np.array(source.most, np.int64))
    ends = {each.name: int(each.i) for each in node.attribute}
    sizes = source.sizes[ends.get("start", 0) : ends.get("end", len(source.sizes))]
    return Extent.of_value(np.array(sizes, np.int64))


def _told(found: Any) -> Extent | None:
    """A type of ONNX, if it says every size."""
    if found is None or not found.HasField("tensor_type"):
        return None
    tensor = found.tensor_type
    if not tensor.HasField("shape"):
        return None
    if not all(axis.HasField("dim_value") for axis in tensor.shape.dim):
        return None
    return Extent.of(tensor.elem_type, [int(axis.dim_value) for axis in tensor.shape.dim])


def _at_most(kind: str, there: Sequence[Extent]) -> Extent:
    """What an operation makes of which nothing is known but that it makes no more than products."""
    most = [max(1, each.most) for each in there]
    product = sum(most) if kind == "Concat" else max(math.prod(most), sum(most))
    return Extent(there[0].kind if there else 1, None, product, exact=False)


def _bounded(kind: str, given: Given) -> Extent | None:
    """The most that outputs have whose sizes depend on numbers, and are at most the input's."""
    first = given[0] if given else None
    if first is None:
        return None
    if kind in ("Slice", "Split", "TopK") and first.sizes is not None:
        return Extent.of(first.kind, first.sizes, exact=False)
    if kind == "NonZero" and first.sizes is not None:
        return Extent.of(7, (len(first.sizes), first.most), exact=False)
    if kind in ("Compress", "Unique", "Reshape"):
        return Extent(first.kind, None, first.most, exact=False)
    return None
