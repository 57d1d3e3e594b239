"""Which inputs and outputs are those of a recurrent network's state, as far as names tell."""

import re
from collections.abc import Mapping, Sequence

STATE_WORDS = {"recurrent", "rnn", "lstm", "gru", "hidden", "memory", "carry"}
STATE_NAMES = re.compile(r"(state_(ins?|outs?)|[hc](_?in|_?out|_?0|x)?|initial_[hc])([_.]?[0-9]+)*")
"""Names that frameworks give to the state of a recurrent network."""
BEFORE = {"in", "ins", "input", "inputs", "initial", "old", "prev", "previous"}
AFTER = {"out", "outs", "output", "outputs", "final", "new", "next", "n"}
"""Words by which names of a state before a step and after it differ."""
FIRST, LAST = ("h0", "c0"), {"hn": "h", "cn": "c"}
"""PyTorch's names for the states before and after a sequence."""
WORDS = re.compile(r"[a-z]+|[0-9]+")


def is_state(name: str) -> bool:
    """Whether an input of this name takes a state."""
    lower = name.lower()
    words = set(re.split(r"[^a-z]+", lower))
    return bool(words & STATE_WORDS) or STATE_NAMES.fullmatch(lower) is not None


def paired(inputs: Sequence[str], outputs: Sequence[str]) -> Mapping[str, str]:
    """The output of each input whose name differs from its own by before and after alone.

    Only pairs of which neither has another match are told.
    """
    stems = {name: _after(name) for name in outputs}
    found = {name: [other for other in outputs if stems[other] in _before(name)] for name in inputs}
    alone = {name: others[0] for name, others in found.items() if len(others) == 1}
    taken = [other for others in found.values() for other in others]
    return {name: other for name, other in alone.items() if taken.count(other) == 1}


def _before(name: str) -> list[tuple[str, ...]]:
    """What an input's name is without the words for before; nothing for one that says after."""
    words = WORDS.findall(name.lower())
    if AFTER.intersection(words):
        return []
    stem = tuple(word for word in words if word not in BEFORE)
    return [stem, stem[:-1]] if "".join(stem[-2:]) in FIRST else [stem]


def _after(name: str) -> tuple[str, ...] | None:
    """What an output's name is without the words for after; None for one that has none."""
    words = WORDS.findall(name.lower())
    stem = tuple(LAST.get(word, word) for word in words if word not in AFTER)
    return stem if stem and stem != tuple(words) else None
