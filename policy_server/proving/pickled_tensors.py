"""Pickles of tensors, read by a machine of our own.

A pickle is a program. This machine knows the few steps of which a dictionary of tensors is made,
and no other: nothing is imported and nothing called.
"""

import math
import pickletools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

PICKLE_BYTES = 4_000_000
"""Of the names and shapes; the numbers themselves lie beside them."""
MOST_AXES = 8
STORAGES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "<i1",
    "torch ByteStorage": "<u1",
    "torch BoolStorage": "?",
}
"""Types of numbers, by the classes that a pickle names."""
DICTIONARY, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
PARAMETER = "torch._utils _rebuild_parameter"
NAMES = {DICTIONARY, TENSOR, PARAMETER, *STORAGES}
"""All that a pickle may name."""
VALUES = {
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BININT", "BININT1", "BININT2", "LONG1",
    "BINFLOAT",
}  # fmt: skip
CONSTANTS: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class UnreadableWeights(ValueError):
    """A file that is no dictionary of tensors; the message says why."""


@dataclass(frozen=True)
class Name:
    """A name that a pickle asks for, which stays a name."""

    text: str


@dataclass(frozen=True)
class Storage:
    """Numbers that lie beside a pickle.

    Attributes:
        type: Of each of them, as NumPy writes it.
        key: What they are called.
        count: How many there are.
    """

    type: str
    key: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A part of a storage, and its shape."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """How many it takes."""
        return math.prod(self.shape) * np.dtype(self.storage.type).itemsize


class PickleMachine:
    """Reads one pickle from where a file stands, and keeps to the steps that are known here.

    Attributes:
        storages: Those that it named, by their keys.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Any:
        """What the pickle holds."""
        start = self._file.tell()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of escapes in damaged texts
            return self._run(start)

    def _run(self, start: int) -> Any:
        for opcode, argument, position in pickletools.genops(self._file):
            if position is not None and position - start > PICKLE_BYTES:
                raise UnreadableWeights(f"its pickle has more than {PICKLE_BYTES} bytes")
            if opcode.name == "STOP":
                return self._stack.pop()
            self._step(opcode.name, argument)
        raise UnreadableWeights("its pickle has no end")

    def _step(self, step: str, argument: Any) -> None:
        if step in VALUES:
            self._stack.append(argument)
        elif step in CONSTANTS:
            self._stack.append(CONSTANTS[step]())
        elif step in TUPLES:
            self._stack.append(tuple(self._last(TUPLES[step])))
        elif step in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif step in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif step == "GLOBAL":
            self._stack.append(self._named(argument))
        elif step not in ("PROTO", "FRAME"):
            known = getattr(self, f"_step_{step.lower()}", None)
            if known is None:
                raise UnreadableWeights(f"its pickle takes the step {step}, and weights need none")
            known()

    def _named(self, text: str) -> Name:
        if text not in NAMES:
            raise UnreadableWeights(
                f"its pickle asks for `{text[:100].replace(' ', '.')}`, and weights need no more "
                "than tensors"
            )
        return Name(text)

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise UnreadableWeights("its pickle takes more than it has")
        taken = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return taken

    def _since_mark(self) -> list[Any]:
        taken, self._stack = self._stack, self._marks.pop()
        return taken

    def _step_mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _step_tuple(self) -> None:
        taken = self._since_mark()
        self._stack.append(tuple(taken))

    def _step_memoize(self) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _step_stack_global(self) -> None:
        module, name = self._last(2)
        self._stack.append(self._named(f"{module} {name}"))

    def _step_setitem(self) -> None:
        self._set(self._last(2))

    def _step_setitems(self) -> None:
        self._set(self._since_mark())

    def _set(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict):
            raise UnreadableWeights("its pickle puts items into what is no dictionary")
        target.update(zip(pairs[::2], pairs[1::2], strict=True))

    def _step_append(self) -> None:
        self._extend(self._last(1))

    def _step_appends(self) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise UnreadableWeights("its pickle appends to what is no list")
        self._stack[-1].extend(items)

    def _step_build(self) -> None:
        """Attributes of a dictionary, such as versions of its modules, which say nothing here."""
        _, target = self._stack.pop(), self._stack[-1]
        if not isinstance(target, dict):
            raise UnreadableWeights("its pickle sets attributes of what is no dictionary")

    def _step_binpersid(self) -> None:
        kind, name, key, _device, count, *_ = self._stack.pop()
        storage = Storage(STORAGES[name.text], key, count)
        if kind != "storage" or not isinstance(key, str) or not _is_count(count):
            raise UnreadableWeights("its pickle names numbers beside it that cannot be")
        if self.storages.setdefault(key, storage) != storage:
            raise UnreadableWeights(f"its numbers {key[:100]!r} are of two types")
        self._stack.append(storage)

    def _step_reduce(self) -> None:
        name, arguments = self._last(2)
        if name == Name(DICTIONARY) and arguments == ():
            self._stack.append({})
        elif name == Name(TENSOR):
            self._stack.append(_tensor(*arguments[:4]))
        elif name == Name(PARAMETER) and isinstance(arguments[0], Tensor):
            self._stack.append(arguments[0])
        else:
            raise UnreadableWeights("its pickle makes something else than tensors")


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    numbers = (offset, *shape, *strides)
    sound = isinstance(storage, Storage) and all(map(_is_count, numbers))
    if not sound or len(shape) != len(strides) or len(shape) > MOST_AXES:
        raise UnreadableWeights("its pickle states the shape of a tensor that cannot be")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 2**48
