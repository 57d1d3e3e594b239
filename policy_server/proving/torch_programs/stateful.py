"""Programs that change arrays of their own: these are what is carried from step to step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.proving.description import Description
from policy_server.proving.memory_description import Pair
from policy_server.proving.torch_programs.program import Outputs, Source, write_program
from policy_server.proving.torch_programs.traced import Array, KeptChanged, Traced, UnknownProgram

MOST_STATES = 16
AFTER = "_out"
"""Ends the name of the output that gives the next state of an input."""


@dataclass(frozen=True)
class Buffer:
    """An array that a program changes.

    Attributes:
        name: Of the input that takes it.
        begins: What it is in the file, with which an episode begins.
    """

    name: str
    begins: Array

    @property
    def source(self) -> Source:
        """The input that takes it: of one episode, as in the file."""
        return Source(self.name, self.begins.dtype, self.begins.shape, 0)

    @property
    def following(self) -> str:
        """Name of the output that gives the next one."""
        return f"{self.name}{AFTER}"

    @property
    def pair(self) -> Pair:
        """Both, as model.yaml would say it."""
        numbers = tuple(self.begins.astype(np.float64).ravel().tolist())
        return Pair(self.name, self.following, numbers if any(numbers) else ())


class Stateful(Protocol):
    """A program, and the buffers that it is known to change."""

    buffers: list[Buffer]

    def changing(self, changed: KeptChanged) -> "Stateful":
        """The same with one buffer more; raises KeptChanged where an array is none."""

    def run(self, inputs: Sequence[Traced]) -> Outputs:
        """What it returns for its own inputs and its buffers, and what is in these afterwards."""


def write_stateful(
    program: Stateful, sources: Sequence[Source], arrays: Sequence[Array], path: Path
) -> tuple[float, list[Buffer]]:
    """Write a program as `write_program` does, with the buffers that it turns out to change.

    Returns:
        How far what is written lies from the program, and the buffers.

    Raises:
        UnknownProgram: It cannot be said in ONNX, or what is written differs.
    """
    while True:
        try:
            taken = of_one_row(sources, program.buffers)
            return write_program(program.run, taken, arrays, path), program.buffers
        except KeptChanged as changed:
            if len(program.buffers) == MOST_STATES:
                raise
            program = program.changing(changed)


def of_one_row(sources: Sequence[Source], buffers: Sequence[Buffer]) -> list[Source]:
    """Inputs of a program that keeps arrays of one episode: one row of each, and these arrays.

    Raises:
        UnknownProgram: It is made for several rows.
    """
    if not buffers:
        return list(sources)
    if several := [each.batch for each in sources if each.batch not in (None, 0, 1)]:
        raise UnknownProgram(
            f"it carries `{buffers[0].name}` from step to step, one for all of {several[0]} "
            "observations: save it for one"
        )
    ones = [replace(each, batch=1) if each.batch is None else each for each in sources]
    return [*ones, *(buffer.source for buffer in buffers)]


def carrying(description: Description, buffers: Sequence[Buffer]) -> Description:
    """A description with the memory that a program proves by changing its buffers.

    Raises:
        UploadRejected: Another memory is declared.
    """
    if not buffers:
        return description
    if description.memory is not None:
        names = ", ".join(f"`{buffer.name}`" for buffer in buffers)
        raise UploadRejected(
            f"model.yaml says `memory`, and the program itself carries {names} from step to step: "
            "leave `memory` out."
        )
    return replace(description, memory=tuple(buffer.pair for buffer in buffers))
