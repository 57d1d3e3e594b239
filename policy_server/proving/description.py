"""model.yaml: what a model's inputs and outputs are, declared by the person who trained it."""

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

import yaml

from policy_server.contract.document import FaultList, entries, read_document
from policy_server.contract.encoding import not_utf8
from policy_server.errors import Fault, SchemaError, UploadRejected
from policy_server.policy.families.registry import reading_words
from policy_server.proving.input_description import (
    InputDescription,
    read_inputs,
    read_normalisation,
)
from policy_server.version.parts import FILES, Part

FILE = FILES[Part.DESCRIPTION]
KEYS = ("output", "reads", "inputs", "normalise")
KNOWN = f"{', '.join(KEYS[:-1])} and {KEYS[-1]}"
PLANNED_KEYS = ("action_range", "memory")
PLANNED_READINGS = {
    "squashed_mean_log_std": "squashed Gaussians (SAC) are not drawn from yet: export the "
    "deterministic action, tanh of the mean, and say `reads: actions`",
    "beta": "Beta distributions are not drawn from yet: export the mean and say `reads: means`",
}
SUMMARY = "The description of the model cannot be read."


@dataclass(frozen=True)
class Description:
    """What is declared of a model.

    Attributes:
        output: Name of the output that is served; None where its own name says it.
        reads: What its numbers stand for; None where its name or its numbers say it.
        inputs: What its inputs take.
    """

    output: str | None = None
    reads: str | None = None
    inputs: InputDescription = field(default_factory=InputDescription)


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
    values: dict[str, str] = {}
    inputs = InputDescription()
    for name, key, value in entries(read_document(text, FILE), faults):
        if name in PLANNED_KEYS:
            faults.add(key, f"`{name}` is not read yet; {KNOWN} are.")
        elif name not in KEYS:
            near = get_close_matches(name, KEYS, 1)
            hint = f"do you mean `{near[0]}`?" if near else f"{KNOWN} are read."
            faults.add(key, f"`{name}` is not known here: {hint}")
        elif name == "inputs":
            inputs = replace(inputs, inputs=read_inputs(value, faults))
        elif name == "normalise":
            inputs = replace(inputs, normalise=read_normalisation(value, faults))
        elif not isinstance(value, yaml.ScalarNode) or not value.value.strip():
            faults.add(value, f"`{name}` takes one word.")
        else:
            values[name] = value.value
            if name == "reads":
                _check_reading(value, faults)
    faults.raise_if_any(SUMMARY)
    return Description(values.get("output"), values.get("reads"), inputs)


def _check_reading(node: yaml.ScalarNode, faults: FaultList) -> None:
    known = reading_words()
    if node.value in PLANNED_READINGS:
        faults.add(node, f"`reads: {node.value}`: {PLANNED_READINGS[node.value]}.")
    elif node.value not in known:
        near = get_close_matches(node.value, known, 1)
        hint = f"; do you mean `{near[0]}`?" if near else "."
        faults.add(node, f"`{node.value}` is no reading: {', '.join(known)}{hint}")
