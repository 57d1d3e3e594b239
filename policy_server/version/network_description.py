"""`network.json`: what a build found out about a model, whatever the other parts are."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from policy_server.policy.memory import Memory
from policy_server.version.parts import NETWORK_FILE

QUESTION = "undescribed"
"""The only key of a description that holds no more than what is to be said."""


class Undescribed(Exception):
    """It was never found out how the model's output is read; the message asks for it."""


@dataclass(frozen=True)
class NetworkDescription:
    """What is known of a model.

    Attributes:
        engine: Name of what runs it.
        engine_detail: Why this engine runs it.
        feature_width: F, numbers that the network takes.
        output: Name of the output that is served.
        output_width: W, numbers that it has for each observation.
        family: Of the distributions that the output stands for.
        sizes: Actions of each head, or dimensions of each component; None where the model does
            not tell, and the output mapper declares them.
        heads: How many heads there are, where their sizes could not be proven.
        family_detail: How family and sizes were found out.
        action_range: Which of the network's numbers stand for the bounds of declared actions; None
            where they are in units of their own.
        parameters: Numbers that the family takes beside, by their names.
        takes_fields: Its inputs take fields of the schema by their names: features are those that
            the schema makes, and no preprocessor's.
        memory: What it carries from step to step; None where each decision is by itself.
    """

    engine: str
    engine_detail: str
    feature_width: int
    output: str
    output_width: int
    family: str
    sizes: tuple[int, ...] | None
    heads: int | None
    family_detail: str
    action_range: tuple[float, float] | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    takes_fields: bool = False
    memory: Memory | None = None

    def write(self, model: Path) -> None:
        """Save the description in the folder of its model."""
        _write(model, asdict(self))

    @classmethod
    def read(cls, model: Path) -> "NetworkDescription":
        """Read the description in the folder of a model.

        Raises:
            Undescribed: It was never found out how the model's output is read.
            OSError, ValueError: The description is missing or damaged.
        """
        fields = json.loads((model / NETWORK_FILE).read_bytes())
        if QUESTION in fields:
            raise Undescribed(fields[QUESTION])
        return msgspec.convert(fields, cls)


def write_undescribed(model: Path, question: str) -> None:
    """Save in the folder of a model that nothing tells how it is read, and what is to be said."""
    _write(model, {QUESTION: question})


def _write(model: Path, fields: Mapping[str, Any]) -> None:
    (model / NETWORK_FILE).write_text(json.dumps(fields), encoding="utf-8")
