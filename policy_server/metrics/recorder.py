"""What one worker counts: written without locks, by this worker alone, in a file that all can read.

A counter costs a tenth of a microsecond, and a request with all its stages half a one.
"""

import json
import mmap
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from policy_server.metrics.catalogue import BYTES_PER_LABEL, DEADLINES, OVERLOADS, REQUESTS, Metric
from policy_server.metrics.layout import (
    BANKS_AT,
    CLOSED_AT,
    GENERATION_AT,
    HEADER_WORDS,
    KEY_BYTES,
    KEYS_AT,
    MAGIC,
    MAGIC_AT,
    NAMES_AT,
    PID_AT,
    POLICY,
    RING_ROWS,
    ROW,
    SLOTS,
    VALUES_AT,
    WORD,
    Histograms,
    Key,
)

OTHER = "other"
"""The label of what there is no room for: a file has only so many values."""
NO_OPERATION = "none"
"""The operation of paths that are none of an operation's."""
INTERNAL_ERROR, DEADLINE_EXCEEDED = 500, 504
LENGTH = struct.Struct("=Q")
_pack, _ROW_BYTES = ROW.pack_into, ROW.size


class Stages(Protocol):
    """How long a request took; as serving/stages.py has it."""

    began: int
    decoded: int
    taken: int
    preprocess: int
    run: int
    ran: int
    rows: int
    answered: int
    turned_away: bool


class Target(Protocol):
    """What a request was for; as web/observing.py has it."""

    @property
    def policy(self) -> str:
        """Which of the server's was asked."""


Noted = tuple[str, int, bytes, object, object, Stages, Target]
"""A request that was answered; as web/observing.py has it."""
Kind = tuple[str, int, bytes, str]
"""Requests that are counted as one: operation, status, version, policy."""


class Recorder:
    """Counts and measures for one worker.

    Until it is opened, what it counts is in memory that nobody else sees.

    Args:
        operations: Ids of those that requests may ask for.
    """

    def __init__(self, operations: Sequence[str]) -> None:
        names = (*operations, NO_OPERATION)
        self._histograms = Histograms.of(names)
        self._operations: Mapping[str, int] = {name: index for index, name in enumerate(names)}
        self._slots: dict[Key, int] = {}
        self._requests: dict[Kind, tuple[int, int]] = {}
        self._map = mmap.mmap(-1, self._histograms.size)
        self.descriptor = -1
        self._begin(self._map)
        # A counter that is there from the start shows the first of its kind as a rise.
        self.slot(DEADLINES, POLICY)
        self.slot(OVERLOADS, POLICY)

    def _begin(self, content: mmap.mmap) -> None:
        self._words = memoryview(content).cast("Q")
        self._values = self._words[VALUES_AT // WORD :]
        self._banks = [self._histograms.bank(content, which) for which in (0, 1)]
        self._rings = [self._histograms.ring(content, which) for which in (0, 1)]
        self._words[PID_AT] = os.getpid()
        content[NAMES_AT:VALUES_AT] = self._histograms.description()
        self._words[MAGIC_AT] = MAGIC
        self._aim()

    def _aim(self) -> None:
        which = self._words[GENERATION_AT] % 2
        self._at = self._histograms.rings_at + which * RING_ROWS * _ROW_BYTES
        self._last_at = self._at + (RING_ROWS - 1) * _ROW_BYTES

    @property
    def size(self) -> int:
        """Bytes of its file."""
        return self._histograms.size

    def open(self, descriptor: int) -> None:
        """Go on in a file, which is the recorder's from now on.

        Args:
            descriptor: Of a file of `size` bytes, all of them there: a disk that is full must not
                end the process at some later moment.
        """
        content = mmap.mmap(descriptor, self.size)
        content[NAMES_AT:] = self._map[NAMES_AT:]
        self._map, self.descriptor = content, descriptor
        generation, at = self._words[GENERATION_AT], self._at
        self._words = memoryview(content).cast("Q")
        self._words[GENERATION_AT] = generation
        self._begin(content)
        self._at = at

    def close(self) -> None:
        """Say that the worker stops in good order; what comes after that is counted, too."""
        self._words[CLOSED_AT] = 1

    def slot(self, metric: Metric, *labels: str) -> int:
        """Where the value with these labels is; made where there is none yet."""
        key: Key = (metric.name, *labels)
        found = self._slots.get(key)
        return self._new(key) if found is None else found

    def add(self, slot: int, amount: int = 1) -> None:
        """Add to a counter."""
        self._values[slot] += amount

    def put(self, slot: int, value: int) -> None:
        """Set a gauge."""
        self._values[slot] = value

    def request(
        self,
        operation: str,
        status: int,
        version: bytes,
        name: object,
        identity: object,
        stages: Stages,
        target: Target,
    ) -> None:
        """Count a request, and how long its stages took; as web/observing.py calls an Observer."""
        self.requests([(operation, status, version, name, identity, stages, target)])

    def requests(self, group: Iterable[Noted]) -> None:
        """Count requests, and how long their stages took: many at once cost less than each."""
        known, content = self._requests, self._map
        last: Kind | None = None
        slot = number = count = 0
        at, last_at = self._at, self._last_at
        for operation, status, version, _, _, stages, target in group:
            kind = (operation, status, version, target.policy)
            if kind != last:
                self._values[slot] += count
                last, count = kind, 0
                slot, number = known.get(kind) or self._new_request(*kind)
            count += 1
            _pack(
                content,
                at,
                number,
                stages.began,
                stages.decoded,
                stages.taken,
                stages.preprocess,
                stages.run,
                stages.ran,
                stages.rows,
                stages.answered,
            )
            if at < last_at:
                at += _ROW_BYTES
            else:
                self._fold()
                at, last_at = self._at, self._last_at
            if status > INTERNAL_ERROR:
                self.add(self.slot(DEADLINES, kind[-1]), int(status == DEADLINE_EXCEEDED))
                self.add(self.slot(OVERLOADS, kind[-1]), int(stages.turned_away))
        self._values[slot] += count
        self._at = at

    def _new_request(
        self, operation: str, status: int, version: bytes, policy: str
    ) -> tuple[int, int]:
        """Where requests of that kind are counted, and the number of their operation."""
        name = operation if operation in self._operations else NO_OPERATION
        slot = self.slot(REQUESTS, policy, name, str(status), version.decode("latin-1"))
        number = self._operations[name]
        found = (slot, number if policy == POLICY else number + len(self._operations))
        if len(self._requests) < 2 * SLOTS:
            self._requests[operation, status, version, policy] = found
        return found

    def _new(self, key: Key) -> int:
        """A place for a key; where there is little room left, one that is shared by several."""
        name, *labels = (part[:BYTES_PER_LABEL] for part in key)
        shared = (
            ((name, *labels), SLOTS - SLOTS // 4),
            ((name, *labels[:-1], *[OTHER] * len(labels[-1:])), SLOTS - SLOTS // 16),
            ((name, *[OTHER] * len(labels)), SLOTS),
        )
        for candidate, room in shared:
            if candidate in self._slots:
                return self._slots[candidate]
            if len(self._slots) < room and len(json.dumps(candidate)) <= KEY_BYTES:
                return self._write(candidate)
        raise AssertionError("there are more metrics than a file has room for")

    def _write(self, key: Key) -> int:
        slot = self._slots[key] = len(self._slots)
        at, content = KEYS_AT + slot * (WORD + KEY_BYTES), json.dumps(key).encode()
        self._map[at + WORD : at + WORD + len(content)] = content
        LENGTH.pack_into(self._map, at, len(content))
        return slot

    def _fold(self) -> None:
        """Count the rows of the full ring, and go on with the other one."""
        which = self._words[GENERATION_AT] % 2
        other = 1 - which
        self._banks[other][:] = self._banks[which]
        self._histograms.count(self._rings[which], self._banks[other])
        self._rings[other][:] = 0
        self._words[GENERATION_AT] += 1
        self._aim()


assert BANKS_AT % WORD == 0
assert HEADER_WORDS > CLOSED_AT
