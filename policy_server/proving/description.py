"""model.yaml: what a model's inputs and outputs are, declared by the person who trained it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from policy_server.contract.action_values import unscalable
from policy_server.contract.actions import ActionSpace
from policy_server.contract.document import FaultList, entries, plain_value, read_document
from policy_server.contract.encoding import not_utf8
from policy_server.contract.fields.bounded import is_finite_number
from policy_server.errors import Fault, SchemaError, UploadRejected
from policy_server.policy.families.registry import reading_words
from policy_server.proving.input_description import (
    Declared,
    InputDescription,
    Normalisation,
    read_inputs,
    read_normalisation,
)
from policy_server.proving.joined import Joined, read_output
from policy_server.proving.memory_description import DeclaredMemory, read_memory
from policy_server.proving.reading import listed
from policy_server.version.parts import FILES, Part

FILE = FILES[Part.DESCRIPTION]
SUMMARY = "The description of the model cannot be read."


@dataclass(frozen=True)
class Description:
    """What is declared of a model.

    Attributes:
        output: Name of the output that is served, or several that are served as one; None where
            its own name says it.
        reads: What its numbers stand for; None where its name or its numbers say it.
        action_range: Which of its numbers stand for the bounds of declared actions; None where
            they are in the units of the actions.
        parameters: Numbers that the family of distributions takes, by their names.
        inputs: What each input takes; None where nothing is declared.
        normalise: What is done to features first.
        memory: What is carried from step to step; None where nothing is declared.
    """

    output: str | Joined | None = None
    reads: str | None = None
    action_range: tuple[float, float] | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    inputs: Declared | None = None
    normalise: Normalisation | None = None
    memory: DeclaredMemory | None = None

    @property
    def reading(self) -> str | None:
        """What is declared of the numbers, by `reads` or by the roles of several outputs."""
        if self.reads is None and isinstance(self.output, Joined):
            return next(iter(self.output.readings), None)
        return self.reads

    @property
    def of_inputs(self) -> InputDescription:
        """What is declared of the model's inputs."""
        return InputDescription(self.inputs or {}, self.normalise, self.memory)

    def check(self, actions: ActionSpace) -> None:
        """Raise UploadRejected where a contract's actions leave a declaration without meaning."""
        if self.action_range is None:
            return
        if actions.declared is None:
            missing = "the schema declares no actions"
        elif all(actions.declared.sizes):
            missing = "those are all numbered"
        elif unbounded := unscalable(actions.declared):
            missing = f"{listed(unbounded)} have no minimum or no maximum"
        else:
            return
        raise UploadRejected(
            f"{FILE} says `action_range`, which is scaled to the bounds of the declared actions, "
            f"and {missing}: declare them in the schema, or leave `action_range` out."
        )


def read_description(path: Path) -> Description:
    """Read `model.yaml`.

    Raises:
        UploadRejected: With every fault and its line.
    """
    content = path.read_bytes()
    if (encoding := not_utf8(content)) is not None:
        raise UploadRejected(SUMMARY, [Fault(FILE, encoding)])
    try:
        return _read(content.decode("utf-8-sig"))
    except SchemaError as error:
        raise UploadRejected(SUMMARY, error.faults) from error


def _read(text: str) -> Description:
    faults = FaultList(FILE)
    values: dict[str, Any] = {}
    nodes: dict[str, yaml.Node] = {}
    for name, key, value in entries(read_document(text, FILE), faults):
        if name not in KEYS:
            near = get_close_matches(name, KEYS, 1)
            hint = f"do you mean `{near[0]}`?" if near else f"{', '.join(KEYS)} are read."
            faults.add(key, f"`{name}` is not known here: {hint}")
        else:
            values[name], nodes[name] = KEYS[name](name, value, faults), value
    output, word = values.get("output"), values.get("reads")
    if isinstance(output, Joined) and output.readings and word not in (None, *output.readings):
        right = " or ".join(f"`reads: {each}`" for each in output.readings)
        faults.add(nodes["reads"], f"several outputs so named take {right}.")
    faults.raise_if_any(SUMMARY)
    parameters = {name: values.pop(name) for name in PARAMETERS if name in values}
    return Description(**values, parameters=parameters)


def _range(name: str, node: yaml.Node, faults: FaultList) -> tuple[float, float] | None:
    try:
        ends = plain_value(node)
    except ValueError:
        ends = None
    if isinstance(ends, list) and len(ends) == 2 and all(map(is_finite_number, ends)):
        low, high = map(float, ends)
        if low < high:
            return low, high
    faults.add(node, f"`{name}` is the lowest and the highest number, such as [-1, 1].")
    return None


def _reading(name: str, node: yaml.Node, faults: FaultList) -> str | None:
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip():
        faults.add(node, f"`{name}` takes one word.")
        return None
    known, word = reading_words(), str(node.value)
    if word not in known:
        near = get_close_matches(word, known, 1)
        hint = f"; do you mean `{near[0]}`?" if near else "."
        faults.add(node, f"`{word}` is no reading: {', '.join(known)}{hint}")
    return word


def _share(name: str, node: yaml.Node, faults: FaultList) -> float | None:
    try:
        share = plain_value(node)
    except ValueError:
        share = None
    if is_finite_number(share) and 0 <= share <= 1:
        return float(share)
    faults.add(node, f"`{name}` takes a number from 0 to 1, the probability of exploring.")
    return None


PARAMETERS = {"epsilon": _share}
KEYS: Mapping[str, Callable[[str, yaml.Node, FaultList], Any]] = {
    "output": read_output,
    "reads": _reading,
    "action_range": _range,
    "inputs": read_inputs,
    "normalise": read_normalisation,
    "memory": read_memory,
    **PARAMETERS,
}
"""What is read, and how."""
