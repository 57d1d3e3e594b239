"""How a worker's numbers lie in its file: whole numbers of 64 bits, at fixed places.

    header | names of histograms | values | keys of the values | 2 banks of buckets | 2 rings

A value (counter or gauge) is one number that its worker writes in place. What histograms are made
of is written as it comes, a row for each request, to the ring of the moment, at a fraction of the
cost of finding each bucket. A full ring is folded: the other bank becomes this bank with the ring's
rows in it, and then one number, the generation, says that the other bank and the other ring count.
So a reader that finds the same generation before and after has seen every request exactly once; and
what a killed worker leaves is whole at any moment.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.metrics.catalogue import (
    BATCH_ROWS,
    BY_NAME,
    REQUEST_DURATION,
    STAGE_DURATION,
    STAGES,
    Metric,
)

Key = tuple[str, ...]
"""Name of a metric, and the values of its labels."""
Numbers = NDArray[np.uint64]

MAGIC = int.from_bytes(b"PSMETR1\0", "little")
WORD = 8
HEADER_WORDS, HISTOGRAM_BYTES, SLOTS, KEY_BYTES, RING_ROWS = 8, 32_768, 2048, 248, 1024
MAGIC_AT, GENERATION_AT, PID_AT, CLOSED_AT = range(4)
"""Words of the header; CLOSED is 1 once the worker has stopped in good order."""
POLICY, OTHERS = "default", "others"
"""Labels of histograms: the policy at `/api`, and all that have a name, together."""

ROW = struct.Struct("=9Q")
"""Operation, began, decoded, taken, preprocess, run, ran, rows, answered: see serving/stages.py.

The last is written last, and is never 0 in a row that is there.
"""
OPERATION, ANSWERED = 0, 8

NAMES_AT = HEADER_WORDS * WORD
VALUES_AT = NAMES_AT + HISTOGRAM_BYTES
KEYS_AT = VALUES_AT + SLOTS * WORD
BANKS_AT = KEYS_AT + SLOTS * (WORD + KEY_BYTES)
WIDTH = max(len(metric.bounds) for metric in BY_NAME.values()) + 2
"""Of a histogram: a bucket for each bound, one beyond the last, and the sum of all."""

BOUNDS = {name: np.array(metric.bounds, np.int64) for name, metric in BY_NAME.items()}


class Histograms:
    """Which histograms there are, and how rows are counted in their buckets.

    Args:
        keys: Of each; those of operations first, then of stages, then of rows; of each kind those
            of one policy after those of another.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(keys)
        self._policies = len({policy for _, policy, *_ in self.keys})
        self._operations = len(self.keys) - self._policies * (len(STAGES) + 1)

    @classmethod
    def of(cls, operations: Sequence[str]) -> "Histograms":
        """Those of policies with these operations."""
        policies = (POLICY, OTHERS)
        return cls(
            [
                *((REQUEST_DURATION.name, of, each) for of in policies for each in operations),
                *((STAGE_DURATION.name, of, stage) for of in policies for stage in STAGES),
                *((BATCH_ROWS.name, of) for of in policies),
            ]
        )

    @property
    def bank_words(self) -> int:
        """Numbers of all buckets."""
        return len(self.keys) * WIDTH

    @property
    def rings_at(self) -> int:
        """Where the rings begin."""
        return BANKS_AT + 2 * self.bank_words * WORD

    @property
    def size(self) -> int:
        """Bytes of a file."""
        return self.rings_at + 2 * RING_ROWS * ROW.size

    def bank(self, content: Any, which: int) -> Numbers:
        """One of the banks: uint64[histograms, WIDTH]."""
        offset = BANKS_AT + which * self.bank_words * WORD
        numbers = np.frombuffer(content, np.uint64, self.bank_words, offset)
        return numbers.reshape(-1, WIDTH)

    def ring(self, content: Any, which: int) -> Numbers:
        """One of the rings: uint64[RING_ROWS, 9]."""
        offset = self.rings_at + which * RING_ROWS * ROW.size
        return np.frombuffer(content, np.uint64, RING_ROWS * 9, offset).reshape(-1, 9)

    def count(self, ring: Numbers, bank: Numbers) -> None:
        """Count the rows of a ring in the buckets of a bank."""
        # One after the other, so those that are there are the first.
        rows = ring[: np.count_nonzero(ring[:, ANSWERED])].T.astype(np.int64)
        operations = np.minimum(rows[OPERATION], self._operations - 1)
        for operation in np.flatnonzero(np.bincount(operations)):
            is_asked = operations == operation
            self._count(int(operation), rows if is_asked.all() else rows[:, is_asked], bank)

    def _count(self, operation: int, rows: NDArray[np.int64], bank: Numbers) -> None:
        """Count rows of one operation of one policy."""
        _, began, decoded, taken, preprocess, run, ran, batch, answered = rows
        _add(bank[operation], REQUEST_DURATION, answered - began)
        policy = operation // (self._operations // self._policies)
        has_run = ran > 0
        stages = (
            (decoded - began, decoded > 0),
            (taken - decoded, (taken > 0) & (decoded > 0)),
            (preprocess, preprocess > 0),
            (run, has_run),
            (answered - ran, has_run),
        )
        for index, (took, is_known) in enumerate(stages, self._operations + policy * len(STAGES)):
            _add(bank[index], STAGE_DURATION, took[is_known])
        _add(bank[policy - self._policies], BATCH_ROWS, batch[batch > 0])

    def description(self) -> bytes:
        """The keys, with the bounds of each, as they lie in a file."""
        content = json.dumps([[*key, BY_NAME[key[0]].bounds] for key in self.keys]).encode()
        assert len(content) < HISTOGRAM_BYTES, "there are more histograms than a file has room for"
        return content.ljust(HISTOGRAM_BYTES)


def _add(cells: Numbers, metric: Metric, found: NDArray[np.int64]) -> None:
    """Count what was found in the buckets of a histogram."""
    if found.size:
        counts = np.bincount(np.searchsorted(BOUNDS[metric.name], found), minlength=WIDTH)
        counts[-1] += found.sum()
        cells += counts.astype(np.uint64)


def described(content: bytes) -> Histograms | None:
    """The histograms that a file says it has; None where another release wrote it otherwise."""
    found = json.loads(content[NAMES_AT:VALUES_AT])
    if any(key[0] not in BY_NAME or [*BY_NAME[key[0]].bounds] != key[-1] for key in found):
        return None
    return Histograms([tuple(key[:-1]) for key in found])
