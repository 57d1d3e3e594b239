"""What leads to what in an ONNX graph."""

from typing import Any


def needed(graph: Any, outputs: set[str]) -> set[str]:
    """Names of all that outputs of a graph follow from, and the outputs themselves."""
    names = set(outputs)
    for node in reversed(graph.node):  # ONNX keeps nodes in the order of running
        if names & set(node.output):
            names |= set(node.input)
            names |= _captured(node)
            names.discard("")  # stands for an optional input that is not given
    return names


def operations(graph: Any, names: set[str]) -> set[str]:
    """Types of the operations that make names of a graph, those of their subgraphs too."""
    found = set()
    for node in graph.node:
        if names & set(node.output):
            found.add(str(node.op_type))
            for inner in _subgraphs(node):
                found |= operations(inner, {name for each in inner.node for name in each.output})
    return found


def handed_through(graph: Any, source: str) -> set[str]:
    """Names that are an input by another name, if the input is used for nothing else; else none."""
    handed = {source}
    for node in graph.node:
        if not handed & set(node.input):
            continue
        if node.op_type not in ("Identity", "Cast"):
            return set()
        handed |= set(node.output)
    return handed


def _captured(node: Any) -> set[str]:
    """Names that the bodies of If and Loop take from around them."""
    names: set[str] = set()
    for graph in _subgraphs(node):
        names |= {value.name for value in graph.output}
        for inner in graph.node:
            names |= set(inner.input) | _captured(inner)
    return names


def _subgraphs(node: Any) -> list[Any]:
    return [graph for attribute in node.attribute for graph in [attribute.g, *attribute.graphs]]
