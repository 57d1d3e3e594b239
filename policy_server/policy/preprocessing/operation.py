"""What every operation on the numbers of a field can do: the interface of the files beside it."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import yaml
from numpy.typing import NDArray

from policy_server.contract.document import FaultList, plain_value
from policy_server.contract.fields.bounded import is_finite_number

Numbers = NDArray[np.float64]
Arithmetic = tuple[tuple[np.ufunc, float], ...]

DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")


@dataclass(frozen=True)
class Given:
    """What a file gives an operation.

    Attributes:
        what: What faults call the value: "`scale` of `speed`".
        node: The value.
        width: How many numbers the operation changes.
        faults: Where faults go.
    """

    what: str
    node: yaml.Node
    width: int
    faults: FaultList

    def fault(self, detail: str) -> None:
        """Note a fault at the line of the value."""
        self.faults.add(self.node, f"{self.what} {detail}")

    def numbers(self) -> Numbers | None:
        """One number for all, or a list of one for each, as float64[width]; None with a fault."""
        if isinstance(self.node, yaml.SequenceNode):
            listed = [number_of(item) for item in self.node.value]
            if None not in listed:
                if len(listed) == self.width:
                    return np.array(listed, dtype=np.float64)
                self.fault(f"has {len(listed)} numbers, and there are {self.width} to change.")
                return None
        elif (number := number_of(self.node)) is not None:
            return np.full(self.width, number)
        several = f", or a list of {self.width} of them" if self.width > 1 else ""
        self.fault(f"is a finite number{several}.")
        return None


class Operation(ABC):
    """One step from a field's numbers to its features: `ufunc(numbers, operand)`, once or more.

    Attributes:
        word: What it is called in a file.
        arithmetic: Its ufuncs, in order, each with the operand that changes nothing.
        operands: For each of these, float64[n].
    """

    word: ClassVar[str]
    arithmetic: ClassVar[Arithmetic]
    operands: tuple[Numbers, ...]

    def __init__(self, *operands: Numbers) -> None:
        self.operands = operands

    @classmethod
    @abstractmethod
    def read(cls, given: Given) -> Self | None:
        """Read what a file gives; None with a fault where that cannot be meant."""

    @abstractmethod
    def in_words(self, expression: str, index: int) -> str:
        """What becomes of one number, given as an expression: `speed * 0.01`."""


def number_of(node: yaml.Node) -> float | None:
    """A finite number; None where it is anything else."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    # Plain decimals at once: statistics may be thousands, and YAML's own way is slow.
    if node.style is None and DECIMAL.fullmatch(node.value):
        value: object = float(node.value)
    else:
        try:
            value = plain_value(node)
        except ValueError:
            return None
    return float(value) if is_finite_number(value) else None


def shown(number: float) -> str:
    """A number for people, to six digits."""
    return f"{number:g}"
