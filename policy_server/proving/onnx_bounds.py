"""How much memory and work an ONNX network takes, told before it runs, and whatever it is given.

The network is gone through with the sizes of its tensors in place of their numbers. Numbers are
followed where they do not depend on the observation: shapes, counters, constants. Where a size, the
end of a loop or the choice of a branch depends on an observation, the network is refused: it is
small when it is proven, and as large as a client likes when it serves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from policy_server.errors import UploadRejected
from policy_server.proving.onnx_cost import steps
from policy_server.proving.onnx_extent import Extent
from policy_server.proving.onnx_loop import Loop
from policy_server.proving.onnx_needs import Needs
from policy_server.proving.onnx_node import Nodes, Untold

MOST_BYTES = 256_000_000
"""Of all that a run of the network holds at once, beside the weights of its file."""
STARTING_STEPS = 2000
"""What it takes to start an operation, whatever it does."""
MOST_VISITS = 30_000
"""Nodes that are gone through, each turn of a loop anew."""
FOR_EVER = 2**31
"""Turns that exporters write for a loop which only its condition ends."""
MALFORMED = (LookupError, ValueError, TypeError, StopIteration)
"""What a node makes Python raise that lacks what its kind has."""
REMEDY = (
    "Sizes, loops and branches have to follow from the shape of what the network is given, never "
    "from its numbers: use `where` in place of a branch, masks in place of sizes, and a fixed "
    "number of turns."
)


def needs(model: Any, rows: int, width: int) -> Needs:
    """What a run of a network on some rows takes at most.

    Args:
        model: ONNX's ModelProto, checked, without functions of its own.
        rows: Taken for the batch, where the network leaves that open.
        width: Taken for other axes that it leaves open.

    Raises:
        UploadRejected: It cannot be told, or is more than any network may take.
    """
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    given = {
        value.name: _input(value, rows, width) for value in graph.input if value.name not in weights
    }
    walk = _Walk(model, rows)
    walk.run(graph, given)
    return walk.needs


def _input(value: Any, rows: int, width: int) -> Extent:
    tensor = value.type.tensor_type
    axes = tensor.shape.dim
    opened = [rows if len(axes) > 1 else width, *[width] * (len(axes) - 1)]
    sizes = [
        int(axis.dim_value) if axis.dim_value > 0 else size
        for axis, size in zip(axes, opened, strict=True)
    ]
    return Extent.of(tensor.elem_type, sizes)


class _Walk:
    """Goes through a network, and counts."""

    def __init__(self, model: Any, rows: int) -> None:
        self._nodes = Nodes(model)
        self._model = model
        self._held = 0
        self.needs = Needs(rows)

    def run(self, graph: Any, outer: Mapping[str, Extent]) -> list[Extent]:
        """The outputs of a graph, from its inputs and what lies around it."""
        names = {**outer, **{each.name: Extent.of_tensor(each) for each in graph.initializer}}
        kept = {value.name for value in graph.output}
        last = {name: index for index, node in enumerate(graph.node) for name in _read(node)}
        before, mine = self._held, {}
        for index, node in enumerate(graph.node):
            try:
                given = [names[name] if name else None for name in node.input]
                made = self._made(node, given, names)
            except Untold as error:
                _refuse(node, str(error))
            except MALFORMED:
                _refuse(node, "its inputs, attributes or bodies are not those of such an operation")
            for name, each in zip(node.output, made, strict=False):
                if name:
                    names[name], mine[name] = each, each.bytes
                    self._hold(node, each.bytes)
            for name in {*node.input, *node.output}:
                if name in mine and name not in kept and last.get(name, -1) <= index:
                    self._held -= mine.pop(name)
        self._held = before
        return [names[value.name] for value in graph.output]

    def _hold(self, node: Any, size: int) -> None:
        self._held += size
        self.needs.bytes = max(self.needs.bytes, self._held)
        if self.needs.rows == 1 and self.needs.bytes > MOST_BYTES + 4 * self._model.ByteSize():
            _refuse(
                node,
                f"with it the network holds {self.needs.bytes // 1_000_000} MB for one "
                f"observation, and at most {MOST_BYTES // 1_000_000} are allowed beside its "
                "weights",
            )

    def _made(
        self, node: Any, given: Sequence[Extent | None], names: Mapping[str, Extent]
    ) -> list[Extent]:
        kind = str(node.op_type)
        self.needs.visits += 1
        if self.needs.visits > MOST_VISITS:
            raise Untold(f"more than {MOST_VISITS} operations are run for one decision")
        if kind == "If":
            return self._branch(node, given, names)
        if kind == "Loop":
            return self._loop(node, given, names)
        if kind == "Scan":
            return self._scan(node, given, names)
        made = self._nodes.made(node, given)
        more = STARTING_STEPS + steps(node, given, made)
        self.needs.count(more, 0 if all(each.exact for each in made) else more)
        return made

    def _branch(
        self, node: Any, given: Sequence[Extent | None], names: Mapping[str, Extent]
    ) -> list[Extent]:
        chosen = None if given[0] is None else given[0].number
        branches = [_graph(node, name) for name in ("else_branch", "then_branch")]
        if chosen is not None:
            return self.run(branches[bool(chosen)], names)
        before = self.needs.steps
        one, other = (self.run(branch, names) for branch in branches)
        self.needs.count(0, self.needs.steps - before)
        return [_either(a, b) for a, b in zip(one, other, strict=True)]

    def _loop(
        self, node: Any, given: Sequence[Extent | None], names: Mapping[str, Extent]
    ) -> list[Extent]:
        turns = None
        if given[0] is not None and (turns := given[0].number) is None:
            raise Untold("how often the loop turns depends on the numbers of the observation")
        going = True if given[1] is None else given[1].number
        if going is None:
            raise Untold("whether the loop begins depends on the numbers of the observation")
        if turns is not None and turns >= FOR_EVER:
            turns = None
        state = [each for each in given[2:] if each is not None]
        loop = self._loop_of(_graph(node, "body"), names)
        if not going or turns == 0:
            return loop.ended(state, 0)
        if turns is not None:
            before = replace(self.needs)
            try:
                return loop.alike(state, turns)
            except (Untold, UploadRejected):  # its turns are not alike: follow each
                self.needs.go_back(before)
        return loop.each(state, turns)

    def _loop_of(self, body: Any, names: Mapping[str, Extent]) -> Loop:
        inputs = [value.name for value in body.input]

        def turn(given: list[Extent]) -> list[Extent]:
            return self.run(body, {**names, **dict(zip(inputs, given, strict=True))})

        return Loop(turn, len(body.output), self.needs)

    def _scan(
        self, node: Any, given: Sequence[Extent | None], names: Mapping[str, Extent]
    ) -> list[Extent]:
        sources, body = _numbers(node, "num_scan_inputs")[0], _graph(node, "body")
        state = [each for each in given[: len(given) - sources] if each is not None]
        scanned = [each for each in given[len(state) :] if each is not None]
        axes = _numbers(node, "scan_input_axes") or [0] * sources
        if self._nodes.opset < 9 or len(scanned) != sources:
            raise Untold("its sizes are not known")
        turns, slices = 0, []
        for each, axis in zip(scanned, axes, strict=True):
            if each.sizes is None:
                raise Untold("how often it turns depends on the numbers of the observation")
            sizes = list(each.sizes)
            turns = max(turns, sizes.pop(axis))
            slices.append(Extent.of(each.kind, sizes, exact=each.exact))
        loop = self._loop_of(body, names)
        out = _numbers(node, "scan_output_axes")
        return loop.alike(state, turns, slices, out)


def _either(one: Extent, other: Extent) -> Extent:
    """What comes of one branch or the other."""
    if one.sizes is None or other.sizes is None or len(one.sizes) != len(other.sizes):
        return Extent(one.kind, None, max(one.most, other.most), exact=False)
    sizes = [max(pair) for pair in zip(one.sizes, other.sizes, strict=True)]
    same = one.sizes == other.sizes and one.exact and other.exact
    return Extent.of(one.kind, sizes, exact=same)


def _read(node: Any) -> set[str]:
    """Names that a node takes, those that its subgraphs take from around them too."""
    names = set(node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            names |= {value.name for value in attribute.g.output}
            for inner in attribute.g.node:
                names |= _read(inner)
    return names


def _graph(node: Any, name: str) -> Any:
    return next(each.g for each in node.attribute if each.name == name)


def _numbers(node: Any, name: str) -> list[int]:
    found = [each for each in node.attribute if each.name == name]
    return [*map(int, found[0].ints)] or [int(found[0].i)] if found else []


def _refuse(node: Any, why: str) -> NoReturn:
    name = str(node.name or next(iter(node.output), ""))[:100]
    raise UploadRejected(
        f"The network's operation `{str(node.op_type)[:100]}` (`{name}`) is not served: {why}. "
        f"{REMEDY}"
    )
