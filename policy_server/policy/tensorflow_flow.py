"""Whether how much a graph makes, and how long it loops, depends on the numbers of an observation.

Two things are followed through a graph, its functions and its loops: whether the numbers of a value
depend on the observation, and whether its shape does. Shapes of what is given tell of the batch
alone. Works on TensorFlow's messages, and runs nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from policy_server.policy.tensorflow_graph import FROM_OUTSIDE, functions_of, node_of
from policy_server.policy.tensorflow_operations import (
    FILLED,
    SHAPED_BY,
    SHAPES,
    SIZED_BY,
    SIZED_BY_FIRST_HALF,
)

MOST_ROUNDS = 50
"""A loop's values are followed until nothing more depends on the observation; each can once."""
WHILE, IF, CASE = {"While", "StatelessWhile"}, {"If", "StatelessIf"}, {"Case", "StatelessCase"}
CALL = {"PartitionedCall", "StatefulPartitionedCall"}


class Flow(NamedTuple):
    """What of a value depends on the observation."""

    numbers: bool = False
    shape: bool = False


Flows = Sequence[Flow]
Key = tuple[str, tuple[Flow, ...]]


class Unbounded(ValueError):
    """How much a graph takes depends on an observation; the message says where."""


def check_bounded(graph: Any, observation: str) -> None:
    """Look whether sizes and loops of a graph depend on the numbers of its observation.

    Args:
        graph: TensorFlow's GraphDef.
        observation: Name of the tensor that takes the features.

    Raises:
        Unbounded: Some do.
    """
    library = {each.signature.name: each for each in graph.library.function}
    _Follower(library).nodes(graph.node, {node_of(observation): [Flow(numbers=True)]})


class _Follower:
    def __init__(self, library: Mapping[str, Any]) -> None:
        self._library = library
        self._known: dict[Key, list[Flow]] = {}

    def nodes(self, nodes: Iterable[Any], given: Mapping[str, Flows]) -> dict[str, Flows]:
        """What the values of all nodes depend on, by the names of nodes; loops go round."""
        found: dict[str, Flows] = dict(given)
        nodes = [node for node in nodes if node.name not in given]
        for _ in range(MOST_ROUNDS):
            changed = False
            for node in nodes:
                inputs = [_at(found, each) for each in node.input if each[0] != FROM_OUTSIDE]
                flows = self._node(node, inputs)
                changed = changed or flows != found.get(node.name)
                found[node.name] = flows
            if not changed:
                return found
        raise Unbounded("its graph goes round in more loops than can be followed.")

    def _node(self, node: Any, inputs: list[Flow]) -> list[Flow]:
        if node.op in WHILE:
            return self._while(node, inputs)
        if node.op in IF | CASE:
            return self._branches(node, inputs)
        if node.op in self._library or node.op in CALL:
            (name,) = functions_of(node, self._library)
            return self._function(name, inputs)
        if node.op == "LoopCond" and any(each.numbers for each in inputs):
            raise _unbounded(node, "how often it turns")
        _check_sizes(node, inputs)
        if node.op == "IdentityN":
            return inputs
        return [_of(node.op, inputs)]

    def _function(self, name: str, inputs: Flows) -> list[Flow]:
        key = (name, tuple(inputs))
        if key not in self._known:
            self._known[key] = []  # a function that calls itself never ends
            function = self._library[name]
            arguments = [each.name for each in function.signature.input_arg]
            given = {each: [flow] for each, flow in zip(arguments, inputs, strict=False)}
            found = self.nodes(function.node_def, given)
            outputs = [function.ret[each.name] for each in function.signature.output_arg]
            self._known[key] = [_at(found, each) for each in outputs]
        return self._known[key]

    def _while(self, node: Any, inputs: list[Flow]) -> list[Flow]:
        condition, body = (node.attr[name].func.name for name in ("cond", "body"))
        flows = inputs
        for _ in range(MOST_ROUNDS):
            ended = self._function(condition, flows)
            if any(each.numbers for each in ended):
                raise _unbounded(node, "how often it turns")
            after = [_any(pair) for pair in zip(flows, self._function(body, flows), strict=False)]
            if after == flows:
                return flows
            flows = after
        raise Unbounded("its graph goes round in more loops than can be followed.")

    def _branches(self, node: Any, inputs: list[Flow]) -> list[Flow]:
        chosen, given = inputs[0], inputs[1:]
        made = [self._function(name, given) for name in functions_of(node, self._library)]
        both = [_any(each) for each in zip(*made, strict=False)]
        if chosen.numbers:  # which branch is taken tells of the observation
            return [Flow(numbers=True, shape=True) for _ in both]
        return both


def _of(kind: str, inputs: Flows) -> Flow:
    numbers, shape = _any(inputs)
    if kind in SHAPES:
        return Flow(numbers=shape and kind != "Rank")
    if kind in FILLED:
        return Flow(shape=shape)
    deciding = [inputs[index] for index in SHAPED_BY.get(kind, ()) if index < len(inputs)]
    return Flow(numbers, shape or any(each.numbers for each in deciding))


def _check_sizes(node: Any, inputs: Flows) -> None:
    sizes = SIZED_BY.get(node.op, ())
    if node.op in SIZED_BY_FIRST_HALF:
        sizes = tuple(range(len(inputs) // 2))
    if any(inputs[index].numbers for index in sizes if index < len(inputs)):
        raise _unbounded(node, "how much it makes")


def _unbounded(node: Any, what: str) -> Unbounded:
    return Unbounded(
        f"{what}, its operation `{node.op}` (`{str(node.name)[:100]}`), depends on the numbers of "
        "the observation: sizes and loops have to follow from shapes and constants. Use `tf.where` "
        "and masks in place of sizes, and a fixed number of turns."
    )


def _any(flows: Iterable[Flow]) -> Flow:
    flows = list(flows)
    return Flow(any(each.numbers for each in flows), any(each.shape for each in flows))


def _at(found: Mapping[str, Flows], tensor: str) -> Flow:
    """The flow of a tensor: `node`, `node:0`, and in functions `node:output:0`."""
    name, *place = tensor.split(":")
    flows = found.get(name, ())
    index = int(place[-1]) if place and place[-1].isdecimal() else 0
    if len(flows) <= 1:
        return flows[0] if flows else Flow()
    return flows[index] if index < len(flows) else _any(flows)
