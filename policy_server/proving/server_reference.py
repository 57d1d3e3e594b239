"""A few lines of YAML that say which model of which inference server decides.

inference_server: triton      # a name of POLICY_SERVER_INFERENCE_SERVERS
model: walker
version: "3"
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
import yaml

from policy_server.contract.document import FaultList, entries, plain_value, read_document
from policy_server.contract.encoding import MARK, not_utf8
from policy_server.contract.tensors import DATATYPES
from policy_server.errors import Fault, SchemaError, UploadRejected
from policy_server.policy.engines.served_model import ServedModel, Tensor

FILE = "inference_server.yaml"
SUMMARY = "What names a model of an inference server cannot be read."
FIRST = re.compile(rb"""(["']?)inference_server\1\s*:""")
MOST_BYTES = 100_000
EXAMPLE = "{name: x, datatype: FP32, shape: [-1, 4]}"


@dataclass(frozen=True)
class Reference:
    """What the file says.

    Attributes:
        model: Which model.
        input: What it takes, where its server does not say it.
        output: What it gives, where its server does not say it.
    """

    model: ServedModel
    input: Tensor | None = None
    output: Tensor | None = None


def is_reference(head: bytes) -> bool:
    """A file's first line, comments aside, says which server has the model."""
    for line in head.removeprefix(MARK).splitlines():
        text = line.strip()
        if text and text != b"---" and not text.startswith(b"#"):
            return FIRST.match(text) is not None
    return False


def read_reference(path: Path) -> Reference:
    """Read the file.

    Raises:
        UploadRejected: With every fault and its line.
    """
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    fault = not_utf8(content)
    if len(content) > MOST_BYTES:
        fault = f"longer than {MOST_BYTES:,} bytes."
    if fault is not None:
        raise UploadRejected(SUMMARY, [Fault(FILE, fault)])
    try:
        values = _read(content.decode("utf-8-sig"))
    except SchemaError as error:
        raise UploadRejected(SUMMARY, error.faults) from error
    model = ServedModel(values["inference_server"], values["model"], values.get("version", ""))
    return Reference(model, values.get("input"), values.get("output"))


def _read(text: str) -> Mapping[str, Any]:
    faults = FaultList(FILE)
    values: dict[str, Any] = {}
    for name, key, node in entries(read_document(text, FILE), faults):
        if name in KEYS:
            values[name] = KEYS[name](name, node, faults)
            continue
        near = get_close_matches(name, KEYS, 1)
        hint = f"do you mean `{near[0]}`?" if near else f"{', '.join(KEYS)} are read."
        faults.add(key, f"`{name}` is not known here: {hint}")
    for name in ("inference_server", "model"):
        if name not in values:
            faults.faults.append(Fault(FILE, f"`{name}` is missing."))
    faults.raise_if_any(SUMMARY)
    return values


def _word(name: str, node: yaml.Node, faults: FaultList) -> str:
    """A name; a version may be written as a number."""
    value = str(node.value).strip() if isinstance(node, yaml.ScalarNode) else ""
    if not value or not value.isprintable():
        faults.add(node, f"`{name}` takes one name.")
    return value


def _tensor(name: str, node: yaml.Node, faults: FaultList) -> Tensor | None:
    try:
        tensor = msgspec.convert(plain_value(node), Tensor)
    except ValueError as error:  # msgspec's, too
        faults.add(node, f"`{name}` is such as {EXAMPLE}: {error}.")
        return None
    if tensor.datatype not in DATATYPES:
        faults.add(node, f"`{tensor.datatype}` is none of {', '.join(DATATYPES)}.")
    if not tensor.shape or min(tensor.shape) < -1 or -1 in tensor.shape[1:] or 0 in tensor.shape:
        faults.add(node, "only the first size of a shape, for any number of rows, may be -1.")
    return tensor


KEYS: Mapping[str, Callable[[str, yaml.Node, FaultList], Any]] = {
    **dict.fromkeys(("inference_server", "model", "version"), _word),
    **dict.fromkeys(("input", "output"), _tensor),
}
"""What is read, and how."""
