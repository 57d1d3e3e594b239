"""Sums of what workers have counted, and how a file is read."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from policy_server.metrics.catalogue import ACTIVE, BUILD_INFO, BY_NAME, REQUESTS
from policy_server.metrics.layout import (
    CLOSED_AT,
    GENERATION_AT,
    KEY_BYTES,
    KEYS_AT,
    MAGIC,
    MAGIC_AT,
    SLOTS,
    VALUES_AT,
    WIDTH,
    WORD,
    Key,
    described,
)
from policy_server.metrics.recorder import OTHER

LEAVE = frozenset({ACTIVE.name, BUILD_INFO.name})
"""Gauges of which 0 says that there is no such version, or release, any more."""
RETAINED_VERSIONS = 50
"""Of workers that have ended: so many versions are told apart, those that were last to decide."""


class Totals:
    """Sums of several workers.

    Attributes:
        values: Of counters and gauges.
        histograms: Numbers in each bucket, and the sum.
    """

    def __init__(self) -> None:
        self.values: dict[Key, int] = {}
        self.histograms: dict[Key, list[int]] = {}

    def add(self, key: Key, amount: int) -> None:
        """Add to a value."""
        self.values[key] = self.values.pop(key, 0) + amount

    def add_histogram(self, key: Key, cells: Iterable[int]) -> None:
        """Add to a histogram."""
        before = self.histograms.get(key, [0] * WIDTH)
        self.histograms[key] = [a + b for a, b in zip(before, cells, strict=True)]

    def add_file(self, content: bytes, *, gauges: bool = True) -> None:
        """Add what one worker has counted.

        Args:
            content: Of its file, with the same generation before and after it was read.
            gauges: The worker is alive: what it has at present counts, too.
        """
        for key, value in values_in(content):
            if key[0] in LEAVE and not value:
                continue
            if gauges or BY_NAME[key[0]].type == "counter":
                self.add(key, value)
        histograms = described(content)
        if histograms is None:
            return
        which = generation_of(content) % 2
        bank = histograms.bank(content, which).copy()
        histograms.count(histograms.ring(content, which), bank)
        for key, cells in zip(histograms.keys, bank.tolist(), strict=True):
            if any(cells):
                self.add_histogram(key, cells)

    def saved(self) -> dict[str, Any]:
        """As JSON has it, the versions that were last to decide last; others are left out."""
        order = dict.fromkeys(key[-1] for key in reversed(self.values) if key[0] == REQUESTS.name)
        kept = {"", OTHER, *list(order)[:RETAINED_VERSIONS]}
        values = [
            [*key, value]
            for key, value in self.values.items()
            if key[0] != REQUESTS.name or key[-1] in kept
        ]
        histograms = [
            [*key, BY_NAME[key[0]].bounds, cells] for key, cells in self.histograms.items()
        ]
        return {"values": values, "histograms": histograms}

    def add_saved(self, saved: Mapping[str, Any]) -> None:
        """Add what was saved, as far as this release knows such metrics."""
        for *key, value in saved["values"]:
            if _is_known(key):
                self.add(tuple(key), value)
        for *key, bounds, cells in saved["histograms"]:
            if _is_known(key) and [*BY_NAME[key[0]].bounds] == bounds:
                self.add_histogram(tuple(key), cells)


def generation_of(content: bytes) -> int:
    """Which bank and ring of a file count."""
    return _word(content, GENERATION_AT)


def is_ours(content: bytes) -> bool:
    """It is a file as this release writes it."""
    return len(content) > KEYS_AT and _word(content, MAGIC_AT) == MAGIC


def has_closed(content: bytes) -> bool:
    """Its worker has stopped in good order."""
    return _word(content, CLOSED_AT) == 1


def values_in(content: bytes) -> Iterable[tuple[Key, int]]:
    """Counters and gauges of a file, by their keys."""
    for slot in range(SLOTS):
        at = KEYS_AT + slot * (WORD + KEY_BYTES)
        length = int.from_bytes(content[at : at + WORD], "little")
        if not length:
            return
        key: list[str] = json.loads(content[at + WORD : at + WORD + length])
        if _is_known(key):
            yield tuple(key), _word(content, VALUES_AT // WORD + slot)


def _is_known(key: list[str]) -> bool:
    metric = BY_NAME.get(key[0])
    return metric is not None and len(metric.labels) == len(key) - 1


def _word(content: bytes, index: int) -> int:
    return int(np.frombuffer(content, np.uint64, 1, index * WORD)[0])
