"""LEAPP's contracts (Isaac Lab): a YAML beside ONNX files that says what goes in and out."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from policy_server.contract.document import plain_value, read_document
from policy_server.errors import SchemaError, UploadRejected
from policy_server.proving.description import Description
from policy_server.proving.leapp_memory import (
    FEEDBACK,
    INITIAL,
    NAME,
    initial_values,
    with_feedback,
)

KEY = "leapp"
"""Under which a contract is kept in an ONNX file's metadata."""
MARK = b"leapp"
MOST_BYTES = 1_000_000
COMMANDS = "target/"
"""Begins the kinds of outputs that are applied as they are."""
ALWAYS = ("means", "actions")
"""Readings of an action that is always the same."""
SHOWN_NAMES = 40


def contract_beside(model: Path) -> str | None:
    """What a contract beside an ONNX file says of it, as JSON; None without one.

    Raises:
        UploadRejected: The contract is of another file of this name.
    """
    for file in sorted(model.parent.glob("*.yaml")):
        found = _section(file, model.name)
        if found is None:
            continue
        stated = str(found.get("parameters", {}).get("sha256sum") or "")
        if stated and stated != hashlib.sha256(model.read_bytes()).hexdigest():
            raise UploadRejected(
                f"{file.name} is LEAPP's contract of another {model.name}: its sha256sum is not "
                "that of the file. Copy both from one export, or leave the contract out."
            )
        keys = ("inputs", "outputs", FEEDBACK, INITIAL, NAME)
        kept = {key: found[key] for key in keys if found.get(key)}
        return json.dumps(kept, default=str)
    return None


def _section(file: Path, model: str) -> dict[str, Any] | None:
    """What a contract says of the model in a file of a name; None for any other YAML."""
    if file.is_symlink() or not file.is_file() or file.stat().st_size > MOST_BYTES:
        return None
    content = file.read_bytes()
    if MARK not in content:
        return None
    try:
        # Without aliases, ten lines of which can stand for more text than memory holds.
        whole = plain_value(read_document(content.decode(), file.name))
        if not isinstance(whole, dict):
            return None
        models, pipeline = whole["models"], whole.get("pipeline") or {}
        name, section = next(
            (name, dict(each))
            for name, each in models.items()
            if each["parameters"]["model_path"] == model
        )
    except (SchemaError, ValueError, LookupError, TypeError, AttributeError, StopIteration):
        return None
    section |= {NAME: name, FEEDBACK: pipeline.get("feedback_flow")}
    return section | {INITIAL: initial_values(file, pipeline, name)}


def described_by_leapp(
    metadata: Mapping[str, str], outputs: Collection[str], declared: Description
) -> Description:
    """What is declared of an ONNX file, and what its contract makes certain.

    Raises:
        UploadRejected: Something else is declared.
    """
    contract = _contract(metadata)
    declared = replace(declared, memory=with_feedback(contract, declared.memory))
    commands = [name for name in _commands(contract) if name in outputs]
    if len(commands) != 1 or declared.output not in (None, commands[0]):
        return declared
    if declared.reads not in (None, *ALWAYS):
        raise UploadRejected(
            f"model.yaml says `reads: {declared.reads}`, but by the LEAPP contract beside the file "
            f"its output `{commands[0]}` is what a robot is told to do: leave `reads` out."
        )
    return replace(declared, output=commands[0], reads=declared.reads or ALWAYS[0])


def leapp_words(metadata: Mapping[str, str]) -> str:
    """What a contract says of outputs, for a report; empty without one."""
    parts = [
        f"`{each.get('name')}` is {each.get('kind') or 'of no kind'}"
        f"{' of ' + ', '.join(names) if (names := _names(each)) else ''}"
        for each in _listed(_contract(metadata), "outputs")
    ]
    return f"by its LEAPP contract {'; '.join(parts)}" if parts else ""


def action_names(metadata: Mapping[str, str]) -> list[str]:
    """Names of the numbers of the only output that is applied; none where it is not told."""
    contract = _contract(metadata)
    found = [
        each for each in _listed(contract, "outputs") if each.get("name") in _commands(contract)
    ]
    return _names(found[0]) if len(found) == 1 else []


def _contract(metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(metadata.get(KEY, "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _listed(contract: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = contract.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _commands(contract: Mapping[str, Any]) -> list[str]:
    outputs = _listed(contract, "outputs")
    return [str(each.get("name")) for each in outputs if str(each.get("kind")).startswith(COMMANDS)]


def _names(output: Mapping[str, Any]) -> list[str]:
    """Names of the numbers of an output: those of its last axis."""
    names = output.get("element_names")
    while isinstance(names, list) and names and isinstance(names[-1], list):
        names = names[-1]
    return [str(name) for name in names[:SHOWN_NAMES]] if isinstance(names, list) else []
