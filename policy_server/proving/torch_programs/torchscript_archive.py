"""Archives of TorchScript: code as text, and pickles of modules, which are read and never run."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from policy_server.errors import UploadRejected
from policy_server.proving.pickled_tensors import (
    PICKLE_BYTES,
    Name,
    PickleMachine,
    Storage,
    Tensor,
    UnreadableWeights,
)
from policy_server.proving.pytorch_weights import array_of
from policy_server.proving.torch_programs.torchscript_code import ScriptProgram
from policy_server.proving.torch_programs.torchscript_values import ScriptObject
from policy_server.proving.torch_programs.traced import Traced, UnknownProgram

OBJECTS, CONSTANTS, TRACED = "data.pkl", "constants.pkl", "traced_inputs.pkl"
CODE = "code"
CLASSES = "__torch__"
LISTS = {f"torch.jit._pickle build_{kind}list" for kind in ("int", "double", "bool", "tensor")}
TAG = "torch.jit._pickle restore_type_tag"
Members: TypeAlias = Mapping[PurePosixPath, bytes]
MOST_SHARED = 4
"""How often an archive may name the same numbers, on the whole."""


@dataclass(frozen=True)
class Script:
    """What an archive holds.

    Attributes:
        program: The network.
        arrays: Its own, such as weights.
        examples: Shapes of the inputs that it was traced with; none where it was not traced.
        widths: How many numbers it may take for an observation, the likeliest first.
    """

    program: ScriptProgram
    arrays: list[Any]
    examples: list[tuple[int, ...]]
    widths: list[int]


class ScriptMachine(PickleMachine):
    """Reads a pickle of modules: objects of classes that the archive itself describes."""

    def _named(self, text: str) -> Name:
        if text in LISTS or text == TAG:
            return Name(text)
        if text.startswith(f"{CLASSES}.") or text.startswith(f"{CLASSES} "):
            return Name(text)
        return super()._named(text)

    def _step_newobj(self) -> None:
        name, arguments = self._last(2)
        if not isinstance(name, Name) or not name.text.startswith(CLASSES) or arguments != ():
            raise UnreadableWeights("its pickle makes something else than modules")
        self._stack.append(ScriptObject(name.text.replace(" ", ".")))

    def _step_build(self) -> None:
        if len(self._stack) > 1 and isinstance(self._stack[-2], ScriptObject):
            state = self._stack.pop()
            if not isinstance(state, dict):
                raise UnreadableWeights("its pickle gives a module something else than attributes")
            self._stack[-1].attributes.update(state)
        else:
            super()._step_build()

    def _step_reduce(self) -> None:
        name, arguments = self._stack[-2:]
        if name in map(Name, (*LISTS, TAG)) and isinstance(arguments, tuple) and arguments:
            del self._stack[-2:]
            self._stack.append(arguments[0])
        else:
            super()._step_reduce()


def read_script(members: Members) -> Script:
    """Read an archive.

    Raises:
        UploadRejected: It holds several programs.
        UnreadableWeights: Its pickles hold something else than modules and tensors.
        UnknownProgram: Its code is not what TorchScript writes.
    """
    roots = [path.parent for path in members if path.name == CONSTANTS]
    if len(roots) != 1:
        raise UploadRejected(f"The zip holds {len(roots)} programs of TorchScript: upload one.")
    archive = _Archive(members, roots[0])
    try:
        network = archive.with_arrays(archive.read(OBJECTS), "data")
        constants = archive.with_arrays(archive.read(CONSTANTS), "constants")
        traced = archive.read(TRACED) if archive.has(TRACED) else {}
    except UnreadableWeights:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OSError, EOFError) as error:
        raise UnreadableWeights(f"it is damaged ({type(error).__name__}: {error})") from error
    if not isinstance(network, ScriptObject) or not isinstance(constants, tuple):
        raise UnknownProgram("its pickles hold no module")
    program = ScriptProgram(archive.sources(), network, constants)
    arrays = archive.arrays
    return Script(
        program,
        arrays,
        _examples(traced, program.inputs),
        _widths(arrays),
    )


def _examples(traced: Any, inputs: list[str]) -> list[tuple[int, ...]]:
    """Shapes of the inputs that `forward` was traced with."""
    given = traced.get("forward") if isinstance(traced, dict) else None
    given = given if isinstance(given, list | tuple) else []
    shapes = [each.shape for each in given if isinstance(each, Tensor)]
    return shapes if len(shapes) == len(inputs) else []


def _widths(arrays: list[Any]) -> list[int]:
    """Sizes that an input may have: what matrices take, then all others."""
    matrices = [array.shape[1] for array in arrays if array.ndim > 1]
    others = [size for array in arrays for size in array.shape]
    return list(dict.fromkeys([*matrices, *others]))


class _Archive:
    """The members below the root of an archive."""

    def __init__(self, members: Members, root: PurePosixPath) -> None:
        self._members = members
        self._root = root
        self._named_bytes = 0
        self.arrays: list[Any] = []
        if self.has("byteorder") and members[root / "byteorder"] != b"little":
            raise UnreadableWeights("its numbers begin with their high bytes (big endian)")

    def has(self, name: str) -> bool:
        """There is a member of a name."""
        return self._root / name in self._members

    def sources(self) -> Mapping[str, str]:
        """The texts of the code, by the dotted names of their modules."""
        place = self._root / CODE
        found = {}
        for path in self._members:
            if path.suffix == ".py" and path.is_relative_to(place):
                dotted = ".".join(path.relative_to(place).with_suffix("").parts)
                found[dotted] = self._members[path].decode(errors="replace")
        return found

    def read(self, name: str) -> Any:
        """The objects of a pickle; of arrays, where their numbers lie."""
        content = self._members[self._root / name]
        if len(content) > PICKLE_BYTES:
            raise UnreadableWeights(f"its pickle has more than {PICKLE_BYTES} bytes")
        return ScriptMachine(io.BytesIO(content)).run()

    def with_arrays(self, value: Any, folder: str) -> Any:
        """A value of a pickle whose tensors are arrays, by the numbers in a folder."""
        return self._with_arrays(value, folder, {})

    def _with_arrays(self, value: Any, folder: str, done: dict[int, Any]) -> Any:
        """Each object once, as objects may be shared."""
        if isinstance(value, Tensor):
            return self._array(value, folder)
        if not isinstance(value, ScriptObject | dict | list | tuple):
            return value
        if id(value) in done:
            return done[id(value)]
        done[id(value)] = value
        if isinstance(value, tuple):
            done[id(value)] = tuple(self._with_arrays(each, folder, done) for each in value)
        elif isinstance(value, list):
            value[:] = [self._with_arrays(each, folder, done) for each in value]
        else:
            items = value.attributes if isinstance(value, ScriptObject) else value
            for name in items:
                items[name] = self._with_arrays(items[name], folder, done)
        return done[id(value)]

    def _array(self, tensor: Tensor, folder: str) -> Traced:
        self._named_bytes += tensor.bytes
        size = sum(map(len, self._members.values()))
        if self._named_bytes > MOST_SHARED * size:
            raise UnreadableWeights("it names the same numbers over and over")

        def numbers(storage: Storage) -> bytes:
            return self._members[self._root / folder / storage.key]

        array = array_of("a tensor", tensor, numbers)
        self.arrays.append(array)
        return Traced(array, kept=True)
