"""What of a SavedModel's graph is run: what leads to its outputs, and what loads its variables.

Works on TensorFlow's messages, and runs nothing. All else that a file holds (training, saving,
what its author added) is left out before TensorFlow sees it.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policy_server.policy.tensorflow_operations import LOADED, RUN

RESTORE = "RestoreV2"
VARIABLES = {"VarHandleOp", "Variable", "VariableV2"}
SHOWN = 10
INIT_SIGNATURE, INIT_COLLECTIONS = (
    "__saved_model_init_op",
    ("saved_model_main_op", "legacy_init_op"),
)
FROM_OUTSIDE = "^"
"""Before the name of a node that only has to have run."""


class NotServed(ValueError):
    """A graph that does something else than to compute; the message names what."""


@dataclass(frozen=True)
class Loading:
    """What gives a graph its variables.

    Attributes:
        restore: Name of the operation; None where there are no variables.
        file: Name of the tensor that takes the path of the variables.
        initialise: Name of the operation that fills tables; None without one.
    """

    restore: str | None
    file: str
    initialise: str | None


def loading(meta_graph: Any) -> Loading:
    """How the variables of a MetaGraphDef are loaded, by what it says itself."""
    saver = meta_graph.saver_def
    initialise = None
    if INIT_SIGNATURE in meta_graph.signature_def:
        outputs = meta_graph.signature_def[INIT_SIGNATURE].outputs.values()
        initialise = next((node_of(each.name) for each in outputs), None)
    for name in INIT_COLLECTIONS:
        if initialise is None and name in meta_graph.collection_def:
            nodes = meta_graph.collection_def[name].node_list.value
            initialise = next((node_of(each) for each in nodes), None)
    return Loading(saver.restore_op_name or None, saver.filename_tensor_name, initialise)


def served_graph(meta_graph: Any, tensors: Collection[str], load: Loading) -> Any:
    """A GraphDef of no more than leads to some tensors, and loads what they read.

    Args:
        meta_graph: TensorFlow's MetaGraphDef.
        tensors: Names of the signature's inputs and outputs.
        load: How its variables are loaded.

    Raises:
        NotServed: Something of it is no arithmetic, or reads a file that is not the SavedModel's.
    """
    graph = meta_graph.graph_def
    parts = _Parts(graph)
    run = parts.reached({node_of(name) for name in tensors})
    run.nodes |= parts.reads(run.nodes)
    wanted = {node_of(each) for each in (load.restore, load.file, load.initialise) if each}
    loaded = parts.reached(wanted)
    _check(parts, run, RUN, "to its outputs")
    _check(parts, loaded, LOADED, "to its variables")
    _Files(parts, load.file).check(loaded)
    kept = type(graph)()
    kept.versions.CopyFrom(graph.versions)
    for node in graph.node:
        if node.name in run.nodes or node.name in loaded.nodes:
            copy = kept.node.add()
            copy.CopyFrom(node)
            copy.attr.pop("_class", None)  # places it beside nodes that are left out
            copy.device = ""
    functions = run.functions | loaded.functions
    for function in graph.library.function:
        if function.signature.name in functions:
            kept.library.function.add().CopyFrom(function)
    for function in kept.library.function:
        for node in function.node_def:
            node.attr.pop("_class", None)
            node.device = ""
    return kept


def has_variables(graph: Any) -> bool:
    """A GraphDef has variables, which are to be loaded."""
    return any(node.op in VARIABLES for node in graph.node)


def node_of(tensor: str) -> str:
    """The name of the node that makes a tensor."""
    return tensor.removeprefix(FROM_OUTSIDE).split(":", maxsplit=1)[0]


def functions_of(node: Any, library: Collection[str]) -> list[str]:
    """Names of the functions that a node calls."""
    names = [node.op] if node.op in library else []
    for value in node.attr.values():
        names += [value.func.name] if value.HasField("func") else []
        names += [each.name for each in value.list.func]
    return names


@dataclass
class _Reached:
    nodes: set[str]
    functions: set[str]


class _Parts:
    """The nodes and functions of a graph by their names."""

    def __init__(self, graph: Any) -> None:
        self.nodes = {node.name: node for node in graph.node}
        self.functions = {each.signature.name: each for each in graph.library.function}

    def reached(self, roots: Collection[str]) -> _Reached:
        """All that some nodes follow from, and all functions that are called on the way."""
        found, waiting = _Reached(set(), set()), list(roots)
        while waiting:
            name = waiting.pop()
            if name in found.nodes:
                continue
            if name not in self.nodes:
                raise NotServed(f"its graph names `{name[:100]}`, which is not in it.")
            found.nodes.add(name)
            waiting += map(node_of, self.nodes[name].input)
        calls = [each for name in found.nodes for each in self._called(self.nodes[name])]
        while calls:
            name = calls.pop()
            if name not in found.functions:
                found.functions.add(name)
                for node in self.functions[name].node_def:
                    calls += self._called(node)
        return found

    def _called(self, node: Any) -> list[str]:
        names = functions_of(node, self.functions)
        for name in names:
            if name not in self.functions:
                raise NotServed(f"its graph calls `{name[:100]}`, which is not in it.")
        return names

    def reads(self, variables: set[str]) -> set[str]:
        """Nodes that read some variables and do no more; by them a converter knows the numbers."""
        return {
            name
            for name, node in self.nodes.items()
            if node.op == "ReadVariableOp" and variables >= {*map(node_of, node.input)}
        }

    def all_nodes(self, reached: _Reached) -> Iterator[Any]:
        """Nodes of a part of the graph, and of its functions."""
        yield from (self.nodes[name] for name in reached.nodes)
        for name in reached.functions:
            yield from self.functions[name].node_def


def _check(parts: _Parts, reached: _Reached, allowed: Collection[str], where: str) -> None:
    found = {node.op for node in parts.all_nodes(reached)} - parts.functions.keys()
    foreign = sorted(each for each in found if each not in allowed)
    if foreign:
        named = ", ".join(f"`{name[:100]}`" for name in foreign[:SHOWN])
        more = f" and {len(foreign) - SHOWN} more" if len(foreign) > SHOWN else ""
        raise NotServed(
            f"on the way {where} its graph has operations that are not run here: {named}{more}. "
            "Only arithmetic, drawing and the reading of variables are run: no files, tables from "
            "files, Python (`tf.py_function`, `tf.numpy_function`), printing, texts, assignments. "
            "Do that in the preprocessor or where it was trained, and export the network alone."
        )


class _Files:
    """Which values are the path of the SavedModel's own variables.

    Args:
        parts: Of the graph.
        file: The tensor that takes the path.
    """

    def __init__(self, parts: _Parts, file: str) -> None:
        self._parts = parts
        self._file = node_of(file)
        self._looked: set[tuple[str, tuple[bool, ...]]] = set()

    def check(self, reached: _Reached) -> None:
        """Raise NotServed where variables are read of another file."""
        for name in reached.nodes:
            node = self._parts.nodes[name]
            given = [self._leads_here(node_of(each)) for each in _data(node)]
            self._node(node, given)

    def _leads_here(self, name: str) -> bool:
        seen = set()
        while name not in seen and name in self._parts.nodes:
            seen.add(name)
            if name == self._file:
                return True
            node = self._parts.nodes[name]
            if node.op != "Identity":
                return False
            name = node_of(node.input[0])
        return False

    def _node(self, node: Any, given: list[bool]) -> None:
        if node.op == RESTORE and not (given and given[0]):
            raise NotServed("its graph reads variables of another file than its own.")
        for function in functions_of(node, self._parts.functions):
            self._function(function, given)

    def _function(self, name: str, given: list[bool]) -> None:
        if (name, tuple(given)) in self._looked:
            return
        self._looked.add((name, tuple(given)))
        function = self._parts.functions[name]
        arguments = [each.name for each in function.signature.input_arg]
        paths = {each for each, path in zip(arguments, given, strict=False) if path}
        nodes = {node.name: node for node in function.node_def}
        for node in function.node_def:
            self._node(node, [_is_path(each, paths, nodes) for each in _data(node)])


def _is_path(tensor: str, paths: Collection[str], nodes: Mapping[str, Any]) -> bool:
    """A value in a function is one of its arguments that are paths."""
    name, seen = node_of(tensor), set()
    while name in nodes and name not in seen and nodes[name].op == "Identity":
        seen.add(name)
        name = node_of(nodes[name].input[0])
    return name in paths


def _data(node: Any) -> list[str]:
    return [name for name in node.input if not name.startswith(FROM_OUTSIDE)]
