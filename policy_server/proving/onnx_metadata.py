"""What exporters write into ONNX files beside the network, and what is certain from it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from policy_server.errors import UploadRejected
from policy_server.proving.description import Description
from policy_server.proving.leapp import described_by_leapp, leapp_words

ROBOT = {"joint_names", "action_scale"}
"""Keys of mjlab, Isaac Lab and rsl_rl, whose exporters put out the means of `actions`."""
ROBOT_OUTPUT = "actions"
ALWAYS = ("means", "actions")
"""Readings of an action that is always the same."""
SHOWN = ("joint_names", "action_scale", "default_joint_pos", "observation_names")
SHOWN_LETTERS = 200


def metadata_of(model: Any) -> dict[str, str]:
    """The metadata of a ModelProto, by its keys."""
    return {str(entry.key): str(entry.value) for entry in model.metadata_props}


def described_by(
    metadata: Mapping[str, str], outputs: Collection[str], declared: Description
) -> Description:
    """What is declared of a file, and what its metadata makes certain.

    Raises:
        UploadRejected: Something else is declared.
    """
    declared = described_by_leapp(metadata, outputs, declared)
    if not set(metadata) >= ROBOT or ROBOT_OUTPUT not in outputs:
        return declared
    if declared.output not in (None, ROBOT_OUTPUT):
        return declared
    if declared.reads not in (None, *ALWAYS):
        raise UploadRejected(
            f"model.yaml says `reads: {declared.reads}`, but the file's metadata "
            f"({', '.join(sorted(ROBOT))}) is that of mjlab, Isaac Lab and rsl_rl, whose exporters "
            "put out means: leave `reads` out."
        )
    return replace(declared, output=ROBOT_OUTPUT, reads=declared.reads or ALWAYS[0])


def metadata_words(metadata: Mapping[str, str]) -> str:
    """What has to be known of a robot's file to apply its actions; empty for other files."""
    if not set(metadata) >= ROBOT:
        return leapp_words(metadata)
    shown = [f"{key} {metadata[key][:SHOWN_LETTERS]}" for key in SHOWN if key in metadata]
    return (
        f"by its metadata a robot's ({'; '.join(shown)}), where an action times its scale is added "
        "to the default position of its joint"
    )
