"""A preprocessor of what a file declares: arithmetic on all rows at once, in float64."""

from collections.abc import Sequence

import numpy as np

from policy_server.contract.records import Record
from policy_server.contract.schema import ObservationSchema
from policy_server.policy.features import Outcome, narrowed
from policy_server.policy.packing import compile_packing
from policy_server.policy.preprocessing.declaration import Declaration
from policy_server.policy.preprocessing.operation import Numbers
from policy_server.policy.preprocessing.registry import OPERATIONS

Step = tuple[np.ufunc, Numbers]


class DeclaredPreprocessor:
    """Makes the features that a declaration lists.

    It runs in the worker itself: it is data, and nothing of it is code.
    """

    def __init__(self, schema: ObservationSchema, declaration: Declaration) -> None:
        self._width = declaration.width
        self._pack = compile_packing(
            schema, [(entry.field, entry.source) for entry in declaration.entries], "d"
        )
        self._steps = steps_of(declaration)
        self._always_finite = self._stays_finite(schema, declaration)

    def features(self, records: Sequence[Record]) -> Outcome:
        packed = b"".join(map(self._pack, records))
        numbers = np.frombuffer(packed, "<f8").reshape(len(records), self._width)
        if self._always_finite:
            return Outcome(self._computed(numbers).astype(np.float32))
        # What overflows is infinite, and then clipped, or told as too large for the network.
        with np.errstate(over="ignore"):
            made = self._computed(numbers)
            features = made.astype(np.float32)
        return Outcome(features) if np.isfinite(features).all() else narrowed(made)

    def _computed(self, numbers: Numbers) -> Numbers:
        for ufunc, operand in self._steps:
            numbers = ufunc(numbers, operand)
        return numbers

    def _stays_finite(self, schema: ObservationSchema, declaration: Declaration) -> bool:
        """Whether no valid observation makes a number that float32 does not hold.

        Each step keeps or turns the order of numbers, so the ends of a field tell of all between.
        """
        ends = [
            each
            for entry in declaration.entries
            for each in [entry.source.ends(absent=not schema.always_has(entry.field))] * entry.width
        ]
        numbers = np.array(ends, dtype=np.float64).T
        with np.errstate(over="ignore", invalid="ignore"):
            for ufunc, operand in self._steps:
                numbers = ufunc(numbers, operand)
                if not np.isfinite(numbers).all():
                    return False
            return bool(np.isfinite(numbers.astype(np.float32)).all())


def steps_of(declaration: Declaration) -> list[Step]:
    """The arithmetic of a declaration, each step on all F numbers.

    The steps of one operation are those of every entry that has it; for the others the operand is
    the one that changes nothing, to the last bit.
    """
    steps: list[Step] = []
    for kind in OPERATIONS:
        operands = [np.full(declaration.width, neutral) for _, neutral in kind.arithmetic]
        start = 0
        for entry in declaration.entries:
            end = start + entry.width
            for operation in entry.operations:
                if isinstance(operation, kind):
                    for whole, part in zip(operands, operation.operands, strict=True):
                        whole[start:end] = part
            start = end
        steps += _effective(kind.arithmetic, operands)
    for operation in declaration.whole:
        steps += _effective(operation.arithmetic, operation.operands)
    return steps


def _effective(
    arithmetic: Sequence[tuple[np.ufunc, float]], operands: Sequence[Numbers]
) -> list[Step]:
    """The steps that change something."""
    return [
        (ufunc, operand)
        for (ufunc, neutral), operand in zip(arithmetic, operands, strict=True)
        if (operand != neutral).any()
    ]
