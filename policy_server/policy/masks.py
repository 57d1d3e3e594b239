"""The masks of decoded observations, as rows beside the features."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from msgspec import UNSET

from policy_server.contract.contract import Contract
from policy_server.contract.records import Record
from policy_server.policy.features import Features


class Masks:
    """Reads the masks of a contract's observations.

    Attributes:
        sizes: How many actions each head has, 0 for a dimension.
        width: M, the actions of all heads together.
    """

    def __init__(self, contract: Contract) -> None:
        assert contract.actions.declared is not None
        self.sizes = contract.actions.declared.sizes
        self.width = sum(self.sizes)
        self._starts = np.cumsum([0, *self.sizes])
        self._masks = contract.schema.masks
        self._row = _compiled(contract)

    def of(self, records: Sequence[Record]) -> tuple[Features, Mapping[int, str]]:
        """What B records allow.

        A mask that is not sent, and a head without one, allow everything.

        Returns:
            float32[B, M], 1 where an action is allowed; and, for each row in which a head has none,
            the field that forbids them.
        """
        allowed = np.array([self._row(record) for record in records], np.float32)
        allowed = allowed.reshape(len(records), self.width)
        forbidding: dict[int, str] = {}
        for mask in self._masks:
            for head in mask.heads:
                start, end = self._starts[head], self._starts[head + 1]
                for row in np.flatnonzero(~allowed[:, start:end].any(axis=1)).tolist():
                    forbidding.setdefault(row, mask.field)
        return allowed, forbidding

    def none(self, rows: int) -> Features:
        """Rows that allow everything, float32[rows, M]."""
        return np.ones((rows, self.width), np.float32)


def _compiled(contract: Contract) -> Callable[[Record], tuple[float, ...]]:
    """What makes of a record the row of what it allows; see `compile_features`."""
    actions = contract.actions.declared
    assert actions is not None
    tables: dict[str, Any] = {"UNSET": UNSET}
    terms = []
    masked = {mask.heads.start: mask for mask in contract.schema.masks}
    head = 0
    while head < len(actions.sizes):
        mask = masked.get(head)
        count = 1 if mask is None else len(mask.heads)
        width = sum(actions.sizes[head : head + count])
        tables[f"all{head}"] = (1.0,) * width
        place = "UNSET" if mask is None else f"o.f{mask.index}"
        terms.append(f"*(all{head} if {place} is UNSET else {place})")
        head += count
    compiled: Callable[[Record], tuple[float, ...]] = eval(
        f"lambda o: ({', '.join(terms)},)", tables
    )
    return compiled
