"""Refuses ONNX files that hold anything but arithmetic, before anything runs or opens them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from policy_server.errors import UploadRejected
from policy_server.proving.onnx_operations import ALIASES, ALLOWED, STANDARD

MOST_NODES = 20_000
"""Of a network, its functions written out and its subgraphs included."""
MOST_DEPTH = 20
"""Subgraphs in subgraphs, and functions in functions."""
SHOWN = 10
REMEDY = (
    "Export what leads from the observations to the actions alone, in operations of ONNX itself "
    "that compute with numbers: `docs/policies.md` lists them."
)


def check_amount(model: Any) -> None:
    """Raise UploadRejected for a file that is small and holds more than anything could run.

    Args:
        model: ONNX's ModelProto, as it was parsed.
    """
    count = _counted(model.graph.node, _functions(model), {}, 0)
    if count > MOST_NODES:
        raise UploadRejected(
            f"The ONNX file has {count} operations, its functions written out; at most "
            f"{MOST_NODES} are served. {REMEDY}"
        )
    bodies = [model.graph.node, *(each.node for each in model.functions)]
    if any(_sparse(each) for each in [model.graph, *_subgraphs(bodies)]):
        raise UploadRejected(
            "The ONNX file has sparse weights, which unpack to any size. Export them dense."
        )


def check_operations(model: Any) -> None:
    """Look at every operation of a network, in its subgraphs and functions too.

    Args:
        model: ONNX's ModelProto, of what is served.

    Raises:
        UploadRejected: Some are not served; the message names them.
    """
    functions = _functions(model)
    bodies = [model.graph.node, *(each.node for each in model.functions)]
    foreign = {
        _words(node)
        for body in bodies
        for node in _nodes(body)
        if (node.domain, node.op_type) not in functions
        and node.op_type not in ALLOWED.get(ALIASES.get(node.domain, node.domain), ())
    }
    if foreign:
        named = ", ".join(f"`{name}`" for name in sorted(foreign)[:SHOWN])
        more = f" and {len(foreign) - SHOWN} more" if len(foreign) > SHOWN else ""
        raise UploadRejected(
            f"The network has operations that are not served as ONNX: {named}{more}. {REMEDY}"
        )


def _functions(model: Any) -> dict[tuple[str, str], Any]:
    return {(each.domain, each.name): each for each in model.functions}


def _words(node: Any) -> str:
    name = str(node.op_type)[:100]
    return f"{str(node.domain)[:100]}.{name}" if node.domain not in (STANDARD, "ai.onnx") else name


def _nodes(body: Any, depth: int = 0) -> Iterator[Any]:
    """Every node of a body and of the subgraphs in it."""
    _check_depth(depth)
    for node in body:
        yield node
        for graph in _graphs(node):
            yield from _nodes(graph.node, depth + 1)


def _subgraphs(bodies: list[Any]) -> Iterator[Any]:
    for body in bodies:
        for node in _nodes(body):
            yield from _graphs(node)


def _graphs(node: Any) -> list[Any]:
    return [
        graph
        for each in node.attribute
        for graph in ([each.g] if each.HasField("g") else list(each.graphs))
    ]


def _counted(body: Any, functions: Mapping[Any, Any], known: dict[Any, int], depth: int) -> int:
    """How many nodes a body has, its functions written out."""
    _check_depth(depth)
    total = 0
    calls = Counter((node.domain, node.op_type) for node in _nodes(body))
    for call, times in calls.items():
        if call in functions and call not in known:
            known[call] = _counted(functions[call].node, functions, known, depth + 1)
        total += times * known.get(call, 1)
    return total


def _check_depth(depth: int) -> None:
    if depth > MOST_DEPTH:
        raise UploadRejected(
            f"The ONNX file has subgraphs or functions in each other, more than {MOST_DEPTH} deep. "
            f"{REMEDY}"
        )


def _sparse(graph: Any) -> bool:
    constants = (each for node in graph.node for each in node.attribute)
    return bool(graph.sparse_initializer) or any(
        each.HasField("sparse_tensor") or each.sparse_tensors for each in constants
    )
