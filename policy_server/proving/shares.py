"""What an input of a network takes of a row: some of the features, or a state."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.errors import UploadRejected
from policy_server.policy.engines.engine import Floats
from policy_server.policy.features import Features

EXACT = 2**24
"""The largest integer up to which float32, and so a feature, counts in ones."""


@dataclass(frozen=True)
class Share:
    """What one input takes of the features.

    Attributes:
        numbers: Which features, intp[n].
        shape: In which shape they make one observation.
    """

    name: str
    dtype: np.dtype[Any]
    numbers: NDArray[np.intp]
    shape: tuple[int, ...]

    @property
    def is_whole(self) -> bool:
        """It takes whole numbers, or truth values."""
        return self.dtype.kind in "iub"

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and largest whole number that a feature of it may be."""
        if self.dtype.kind == "b":
            return 0, 1
        of_type = np.iinfo(self.dtype)
        return max(int(of_type.min), -EXACT), min(int(of_type.max), EXACT)

    def of(self, features: Features, batch: int | None) -> NDArray[Any]:
        """What the input is given for float32[B, F]: [B, ...], or [...] of a single row.

        Raises:
            UploadRejected: A feature is a whole number that float32 does not hold exactly.
        """
        taken = features[:, self.numbers]
        if self.dtype.kind in "iu":
            if np.abs(taken).max(initial=0.0) > EXACT:
                raise UploadRejected(
                    f"The input `{self.name}` takes whole numbers ({self.dtype}), and features "
                    f"beyond {EXACT} are not exact, as they are float32: give the fields bounds "
                    "within it."
                )
            taken = np.clip(taken, *self.limits)
        with np.errstate(over="ignore"):
            shaped = taken.astype(self.dtype).reshape(len(features), *self.shape)
        return shaped if batch is not None else shaped[0]


@dataclass(frozen=True)
class State(Share):
    """A state of a recurrent network.

    Attributes:
        numbers: Which numbers of the memory it is, one after the other: intp[n].
        shape: In which shape they make one observation's, the batch left out.
        output: Name of the output that gives the next one.
        batch_axis: Which axis is that of the batch; None where it has none, of a single row.
        initial: What it is before the first step, n numbers; none for zeros.
    """

    output: str = ""
    batch_axis: int | None = 0
    initial: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers it has."""
        return len(self.numbers)

    def of(self, features: Features, batch: int | None) -> NDArray[Any]:
        """What the input is given for the memories float32[B, S] of B rows."""
        if batch is None or self.batch_axis is None:
            return super().of(features[:1], None)
        return np.moveaxis(super().of(features, batch), 0, self.batch_axis)

    def following(self, found: NDArray[Any], rows: int) -> Floats:
        """The next state of each row, float32[B, n], of what the output was.

        Raises:
            UploadRejected: The output has another shape than the input.
        """
        expected = list(self.shape)
        if self.batch_axis is not None:
            expected.insert(self.batch_axis, rows)
        if list(found.shape) != expected:
            raise UploadRejected(
                f"The state `{self.name}` has the shape {expected} for {rows} observation(s), and "
                f"`{self.output}`, which is to give the next one, {list(found.shape)}: an input "
                "and an output of one state have the same shape."
            )
        if self.batch_axis is not None:
            found = np.moveaxis(found, self.batch_axis, 0)
        return found.reshape(rows, -1).astype(np.float32)
