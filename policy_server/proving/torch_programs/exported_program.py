"""Archives of torch.export: a graph as JSON, and the bytes of its weights."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.proving.pytorch_weights import read_weights
from policy_server.proving.torch_programs.operators import run_operator, type_numbered
from policy_server.proving.torch_programs.program import Outputs, Source, named_outputs
from policy_server.proving.torch_programs.stateful import Buffer
from policy_server.proving.torch_programs.traced import KeptChanged, Traced, UnknownProgram

GRAPHS = ("model.json", "serialized_exported_program.json")
"""Of archives since torch 2.8, and of those before."""
WEIGHTS, CONSTANTS = "model_weights_config.json", "model_constants_config.json"
OLD_WEIGHTS = ("serialized_state_dict.pt", "serialized_constants.pt")
JSON_BYTES = 20_000_000
SCALAR_TYPES = {1: 0, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7, 12: 11}
"""PyTorch's own numbers for types, by those in the JSON."""
PLAIN = ("as_int", "as_float", "as_bool", "as_string", "as_ints", "as_floats", "as_bools")
IGNORED = ("as_device", "as_layout", "as_memory_format", "as_strings")
Members: TypeAlias = Mapping[PurePosixPath, bytes]
KEYWORD = 2
"""The kind of an argument that is given by name."""


class ExportedProgram:
    """A program of torch.export.

    Attributes:
        sources: What it takes.
        arrays: Its own, such as weights.
        buffers: Those that it changes, which are taken and given beside.

    Args:
        members: Of its archive, by their paths.

    Raises:
        UploadRejected: It holds several programs.
        UnknownProgram: It holds what is not read, or contradicts itself.
    """

    def __init__(self, members: Members) -> None:
        try:
            self._read(members)
        except (AttributeError, KeyError, TypeError, ValueError, StopIteration) as error:
            if isinstance(error, UnknownProgram):
                raise
            raise UnknownProgram(
                f"its graph is not as torch.export writes it ({type(error).__name__}: {error})"
            ) from error

    def _read(self, members: Members) -> None:
        places = [path for path in members if path.name in GRAPHS]
        if len(places) != 1:
            raise UploadRejected(f"The zip holds {len(places)} exported programs: upload one.")
        program = _json(members, places[0])["graph_module"]
        self._graph, signature = program["graph"], program["signature"]
        self._names = _output_names(program)
        kept = _weights(members)
        self._kept: dict[str, Traced] = {}
        self._inputs: list[str] = []
        for spec in signature["input_specs"]:
            ((kind, each),) = spec.items()
            if kind == "user_input":
                self._inputs.append(each["arg"]["as_tensor"]["name"])
            elif kind in OWN:
                self._kept[each["arg"]["name"]] = Traced(kept[each[OWN[kind]]], kept=True)
            else:
                raise UnknownProgram(f"it takes a `{kind}`, which is not read")
        buffers = [each["buffer"] for each in signature["input_specs"] if "buffer" in each]
        self._held = {each["buffer_name"]: each["arg"]["name"] for each in buffers}
        self._changed = [_changed(spec) for spec in signature["output_specs"]]
        self.buffers = [self._buffer(name) for name in self._changed if name]
        self.arrays = [each.array for each in self._kept.values()]
        self.sources = self._sources()

    def _buffer(self, name: str) -> Buffer:
        return Buffer(name, self._kept[self._held[name]].array)

    def changing(self, changed: KeptChanged) -> "ExportedProgram":
        """The same with one buffer more; raises KeptChanged where an array is none."""
        for name, argument in self._held.items():
            if any(self._kept[argument] is array for array in changed.arrays):
                self.buffers.append(self._buffer(name))
                return self
        raise changed

    def _sources(self) -> list[Source]:
        found = []
        for name in self._inputs:
            meta = self._graph["tensor_values"][name]
            sizes = [int(size["as_int"]) if "as_int" in size else None for size in meta["sizes"]]
            opened = [axis for axis, size in enumerate(sizes) if size is None]
            if len(opened) > 1 or not sizes:
                raise UnknownProgram(
                    f"its input `{name}` has another open size than that of the batch"
                )
            fixed = tuple(size for size in sizes if size is not None)
            kind = _type(meta["dtype"])
            if opened:
                found.append(Source(name, kind, fixed, None, opened[0]))
            elif len(fixed) == 1:  # a vector, of one observation
                found.append(Source(name, kind, fixed, 0))
            else:
                found.append(Source(name, kind, fixed[1:], fixed[0]))
        return [_whole(each, found[0]) for each in found]

    def run(self, inputs: Sequence[Traced]) -> Outputs:
        """What it returns for the arrays of its inputs."""
        held = [self._held[buffer.name] for buffer in self.buffers]
        states = [Traced(each.array, each.name, each.graph) for each in inputs[len(self._inputs) :]]
        values: dict[str, Any] = {
            **self._kept,
            **dict(zip(self._inputs, inputs[: len(self._inputs)], strict=True)),
            **dict(zip(held, states, strict=True)),
        }
        try:
            for node in self._graph["nodes"]:
                self._node(node, values)
            found = [self._argument(each, values) for each in self._graph["outputs"]]
        except KeyError as error:
            raise UnknownProgram(f"its graph uses {error} before it is there") from error
        given = [each for each, name in zip(found, self._changed, strict=True) if not name]
        named = dict(zip(self._changed, found, strict=True))
        names = self._names if len(self._names) == len(given) else [""]
        following = {
            buffer.following: named.get(buffer.name, values[self._held[buffer.name]])
            for buffer in self.buffers
        }
        return {**named_outputs(given, names), **following}

    def _node(self, node: Mapping[str, Any], values: dict[str, Any]) -> None:
        arguments: list[Any] = []
        named: dict[str, Any] = {}
        for each in node["inputs"]:
            value = self._argument(each["arg"], values)
            if each.get("kind") == KEYWORD:
                named[each["name"]] = value
            else:
                arguments.append(value)
        for name in ("device", "layout", "pin_memory", "memory_format"):
            named.pop(name, None)
        found = _computed(str(node["target"]), arguments, named)
        outputs = node["outputs"]
        if len(outputs) == 1 and "as_tensors" in outputs[0]:
            outputs, found = outputs[0]["as_tensors"], list(found)
        results = found if isinstance(found, list | tuple) else [found]
        for output, result in zip(outputs, results, strict=False):  # what is unused may be missing
            values[_result(output)] = result

    def _argument(self, argument: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        ((kind, value),) = argument.items()
        if kind == "as_none" or kind in IGNORED:
            return None
        if kind == "as_tensor":
            return values[value["name"]]
        if kind in ("as_tensors", "as_nested_tensors"):
            return [values[each["name"]] for each in value]
        if kind in ("as_optional_tensor", "as_optional_tensors"):
            several = value if isinstance(value, list) else [value]
            found = [self._argument(each, values) for each in several]
            return found if isinstance(value, list) else found[0]
        if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            return self._symbol(value, values)
        if kind in ("as_sym_ints", "as_sym_floats"):
            return [self._symbol(each, values) for each in value]
        if kind == "as_scalar_type":
            return _type(value)
        if kind in PLAIN:
            return value
        raise UnknownProgram(f"its graph has an argument `{kind}`, which is not read")

    def _symbol(self, value: Any, values: Mapping[str, Any]) -> Any:
        ((kind, each),) = value.items()
        return values[each] if kind == "as_name" else each


def _whole(source: Source, first: Source) -> Source:
    """A source whose first axis is not that of the batch, as a state's is that of layers."""
    if source.batch in (None, 0, first.batch):
        return source
    return replace(source, shape=(source.batch, *source.shape), batch=0)


def _changed(spec: Mapping[str, Any]) -> str:
    """The buffer whose next value an output is; empty for one that the program returns."""
    ((kind, each),) = spec.items()
    if kind == "buffer_mutation":
        return str(each["buffer_name"])
    if kind != "user_output":
        raise UnknownProgram(f"it gives a `{kind}`, which is not read")
    return ""


OWN = {
    "parameter": "parameter_name",
    "buffer": "buffer_name",
    "tensor_constant": "tensor_constant_name",
}
"""Arrays of the program itself, and where a spec names them."""
SYMBOLS: Mapping[str, Callable[..., Any]] = {
    "_operator.getitem": lambda values, place: values[place],
    "_operator.add": lambda one, other: run_operator("add", [one, other], {}),
    "_operator.sub": lambda one, other: run_operator("sub", [one, other], {}),
    "_operator.mul": lambda one, other: run_operator("mul", [one, other], {}),
    "_operator.floordiv": lambda one, other: run_operator("floordiv", [one, other], {}),
    "_operator.ge": lambda one, other: one >= other,
    "_operator.le": lambda one, other: one <= other,
    "_operator.eq": lambda one, other: one == other,
    "_operator.ne": lambda one, other: one != other,
}
"""What is computed with sizes."""


def _computed(target: str, arguments: list[Any], named: dict[str, Any]) -> Any:
    if target in SYMBOLS:
        return SYMBOLS[target](*arguments, **named)
    space, _, rest = target.removeprefix("torch.ops.").partition(".")
    if space != "aten":
        raise UnknownProgram(f"its operator `{target[:100]}` is not read")
    return run_operator(rest.partition(".")[0], arguments, named)


def _result(output: Mapping[str, Any]) -> str:
    """What a result is called."""
    each = output.get("as_tensor") or output.get("as_sym_int") or output.get("as_sym_bool")
    each = each or output
    return str(each.get("name") or each["as_name"])


def _type(number: int) -> Any:
    return type_numbered(SCALAR_TYPES.get(number, -1))


def _json(members: Members, path: PurePosixPath) -> Any:
    content = members[path]
    if len(content) > JSON_BYTES:
        raise UnknownProgram(f"its {path.name} has more than {JSON_BYTES} bytes")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise UnknownProgram(f"its {path.name} is nested too deeply") from error


def _weights(members: Members) -> dict[str, Any]:
    """Arrays by the names that the signature gives them."""
    found: dict[str, Any] = {}
    for path in members:
        if path.name in OLD_WEIGHTS:
            found |= read_weights(members[path])
        if path.name not in (WEIGHTS, CONSTANTS):
            continue
        for name, each in _json(members, path)["config"].items():
            if each.get("use_pickle"):
                raise UnknownProgram(f"its weights `{name[:100]}` are a pickle")
            found[name] = _array(members[path.parent / str(each["path_name"])], each)
    return found


def _array(content: bytes, entry: Mapping[str, Any]) -> Any:
    meta = entry["tensor_meta"]
    shape = [int(size["as_int"]) for size in meta["sizes"]]
    numbers = np.frombuffer(content, _type(meta["dtype"]))
    strides = [int(step["as_int"]) for step in meta["strides"]]
    start = int(meta["storage_offset"]["as_int"])
    last = start + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if min([start, *shape, *strides]) < 0 or (np.prod(shape) and last >= len(numbers)):
        raise UnknownProgram(f"its weights have the shape {shape} and only {len(numbers)} numbers")
    steps = [step * numbers.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(numbers[start:], shape, steps).copy()


def _output_names(program: Mapping[str, Any]) -> list[str]:
    """Names of the outputs, where the program returns a dictionary."""
    for call in program.get("module_call_graph", ()):
        if call.get("fqn") == "" and call.get("signature"):
            spec = json.loads(call["signature"]["out_spec"])[1]
            if str(spec["type"]).endswith("dict"):
                context = spec["context"]
                names = json.loads(context) if isinstance(context, str) else context
                return [str(name) for name in names]
    return []
