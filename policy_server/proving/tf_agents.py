"""`policy_specs.pbtxt`, which TF-Agents' PolicySaver writes beside a SavedModel."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from policy_server.contract.actions import ActionSpace
from policy_server.contract.declared_actions import DeclaredActions
from policy_server.errors import UploadRejected
from policy_server.proving.description import Description

FILE = "policy_specs.pbtxt"
MOST_BYTES = 1_000_000
MOST_DEPTH = 60
ACTION, OUTPUT = "action", "action"
TOKEN = re.compile(r'\s*([{}]|"(?:[^"\\\n]|\\.)*"|[^\s{}":]+:?)')
TYPES = {
    "DT_FLOAT": "<f4",
    "DT_DOUBLE": "<f8",
    "DT_INT32": "<i4",
    "DT_INT64": "<i8",
    "DT_UINT8": "<u1",
    "DT_BOOL": "?",
}
ALWAYS = ("actions", "means")
"""Readings of an action that is always the same."""
UNSOUND = (
    *(ValueError, LookupError, TypeError, AttributeError),
    *(RecursionError, SyntaxError, StopIteration),
)
"""What reading a text leads to that is no message, or another one."""
Message = Mapping[str, list[Any]]
"""Fields of a message by their names, each as often as it stands there."""


@dataclass(frozen=True)
class Spec:
    """What an array is.

    Attributes:
        name: As the file calls it.
        type: Of its numbers, as NumPy writes it.
        shape: Without the batch.
        bounds: Of each number; none where the file tells none.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    bounds: Sequence[tuple[float, float]] = ()

    @property
    def words(self) -> str:
        """Name, type, shape, and bounds."""
        bounds = dict.fromkeys(f"{low:g} to {high:g}" for low, high in self.bounds)
        within = f" from {', '.join(bounds)}" if bounds else ""
        return f"{np.dtype(self.type).name} {list(self.shape)}{within}"


@dataclass(frozen=True)
class Specs:
    """What the file tells.

    Attributes:
        actions: One for each array of an action.
        observations: Likewise of an observation.
    """

    actions: Sequence[Spec] = ()
    observations: Sequence[Spec] = ()

    @property
    def metadata(self) -> dict[str, str]:
        """What is told, in words, by what it is of."""
        kinds = (("action", self.actions), ("observation", self.observations))
        return {
            kind if len(specs) == 1 else f"{kind} {number}": f"`{each.name}`, {each.words}"
            for kind, specs in kinds
            for number, each in enumerate(specs)
        }

    @property
    def bounds(self) -> Sequence[tuple[float, float]] | None:
        """Of each number of an action; None where they are not told."""
        found = [bound for each in self.actions for bound in each.bounds]
        return found if found and all(each.bounds for each in self.actions) else None

    def described(self, outputs: Sequence[str], declared: Description) -> Description:
        """What is declared of a policy, and what its specs make certain.

        Raises:
            UploadRejected: Something else is declared.
        """
        real = len(self.actions) == 1 and np.dtype(self.actions[0].type).kind == "f"
        if not real or OUTPUT not in outputs or declared.output not in (None, OUTPUT):
            return declared
        if declared.reads not in (None, *ALWAYS):
            raise UploadRejected(
                f"model.yaml says `reads: {declared.reads}`, but by {FILE} its output `{OUTPUT}` "
                f"is the action itself ({self.actions[0].words}): leave `reads` out."
            )
        return replace(declared, output=OUTPUT, reads=declared.reads or ALWAYS[0])

    def words(self, actions: ActionSpace) -> str:
        """What the specs say of actions, and where the contract says otherwise."""
        if not self.actions:
            return ""
        said = ", ".join(each.words for each in self.actions)
        declared = actions.declared
        differs = declared is not None and self._differ_from(declared)
        told = ", where the schema declares other bounds" if differs else ""
        return f"by {FILE} its action is {said}{told}"

    def _differ_from(self, declared: DeclaredActions) -> bool:
        """The bounds or counts of declared actions are others, or there are more or fewer."""
        if self.bounds is None:
            return False
        ours = [
            (0, each.size - 1) if each.size else tuple(each.bounds) for each in declared.components
        ]
        kept = [
            (0, high - low) if each.size else (low, high)
            for each, (low, high) in zip(declared.components, self.bounds, strict=False)
        ]
        return len(ours) != len(self.bounds) or ours != kept


def read_specs(folder: Path) -> Specs:
    """What the file in a SavedModel's folder tells; nothing where it is not there or not sound."""
    file = folder / FILE
    if not file.is_file() or file.stat().st_size > MOST_BYTES:
        return Specs()
    try:
        message = _parsed(file.read_text(encoding="utf-8"))
        data = _entries(message["dict_value"][0]["fields"])["collect_data_spec"]
        (trajectory,) = data["named_tuple_value"]
        parts = _entries(trajectory["values"])
        return Specs([*_specs(parts[ACTION])], [*_specs(parts["observation"])])
    except UNSOUND:
        return Specs()


def _entries(pairs: Sequence[Message]) -> dict[str, Message]:
    return {str(each["key"][0]): each["value"][0] for each in pairs}


def _specs(value: Message) -> Iterator[Spec]:
    """The specs in a structure, in the order of the text."""
    for kind, items in value.items():
        for item in items:
            if kind in ("tensor_spec_value", "bounded_tensor_spec_value"):
                yield _spec(item)
            elif isinstance(item, Mapping):
                yield from _specs(item)


def _spec(spec: Message) -> Spec:
    shape = tuple(int(dim["size"][0]) for dim in spec["shape"][0].get("dim", []))
    kind = TYPES[spec["dtype"][0]]
    ends = [_numbers(spec[key][0], kind, shape) for key in ("minimum", "maximum") if key in spec]
    bounds = (
        list(zip(*(end.ravel().tolist() for end in ends), strict=True)) if len(ends) > 1 else []
    )
    return Spec(str(spec.get("name", [""])[0]), kind, shape, bounds)


def _numbers(tensor: Message, kind: str, shape: tuple[int, ...]) -> Any:
    if "tensor_content" in tensor:
        array = np.frombuffer(tensor["tensor_content"][0], kind)
    else:
        (values,) = [each for key, each in tensor.items() if key.endswith("_val")]
        array = np.array([float(each) for each in values])
    return np.broadcast_to(array.reshape(shape) if array.size > 1 else array.ravel()[0], shape)


def _parsed(text: str) -> Message:
    """A message in protobuf's text format."""
    tokens = iter(TOKEN.findall(text))
    return _message(tokens, 0)


def _message(tokens: Iterator[str], depth: int) -> Message:
    if depth > MOST_DEPTH:
        raise ValueError("nested too deeply")
    found: dict[str, list[Any]] = {}
    for token in tokens:
        if token == "}":
            break
        name = token.removesuffix(":")
        value = next(tokens)
        values = found.setdefault(name, [])
        values.append(_message(tokens, depth + 1) if value == "{" else _value(name, value))
    return found


def _value(name: str, token: str) -> Any:
    if not token.startswith('"'):
        return token
    content: bytes = ast.literal_eval(f"b{token}")
    return content if name == "tensor_content" else content.decode()
