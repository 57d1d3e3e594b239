"""What came of a replay of golden cases, in sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.errors import Difference, DifferingCase, Fault
from policy_server.policy.families.family import Family
from policy_server.proving.diagnosis import diagnosis
from policy_server.proving.golden import QUANTITIES, GoldenCases, shown_observation
from policy_server.proving.golden_episodes import steps_of

Array = NDArray[np.float64]
MAX_SHOWN = 20
"""Numbers of the worst case that are shown."""
MOST_CASES = 500
"""Cases that are told one by one."""
MOST_CHARACTERS = 4_000
"""Of an observation that is told with its case."""
QUANTITY_WORDS = {name: name.replace("_", " ") for name in QUANTITIES} | {
    "actions": "most probable actions",
    "log_probability": "log-probability of the action drawn",
}


@dataclass(frozen=True)
class Outcome:
    """What came of a replay.

    Attributes:
        agrees: Every case agrees.
        detail: How many cases there are and how they agree, or not, in sentences.
        faults: The worst case, field by field.
        cases: The cases that differ, in the order of their file, at most MOST_CASES.
    """

    agrees: bool
    detail: str
    faults: list[Fault] = field(default_factory=list)
    cases: list[DifferingCase] = field(default_factory=list)


@dataclass(frozen=True)
class Compared:
    """One quantity of the R cases that state it.

    Attributes:
        expected: [R, K] numbers or meanings.
        found: [R, K], likewise.
        differences: float64[R, K]; relative where what is expected exceeds 1.
    """

    quantity: str
    rows: list[int]
    expected: NDArray[Any]
    found: NDArray[Any]
    differences: Array


class Verdict:
    """Says whether golden cases agree, and of those that do not, how.

    Args:
        cases: As they were recorded.
        compared: All quantities that they state, in the order in which one follows from another.
        tolerance: Largest difference that is none.
        family: What the policy's actions are drawn from.
    """

    def __init__(
        self, cases: GoldenCases, compared: Sequence[Compared], tolerance: float, family: Family
    ) -> None:
        self._cases = cases
        self._compared = compared
        self._tolerance = tolerance
        self._family = family

    def outcome(self) -> Outcome:
        """The outcome for all cases."""
        wrong = [each for each in self._compared if (each.differences > self._tolerance).any()]
        return self._disagreement(wrong) if wrong else self._agreement()

    def _agreement(self) -> Outcome:
        largest = ", ".join(
            f"{QUANTITY_WORDS[each.quantity]} to {each.differences.max():.1e}"
            for each in self._compared
        )
        return Outcome(True, f"{self._count()} agree: {largest}")

    def _count(self) -> str:
        without = "" if self._cases.features is None else " of features, without the preprocessor,"
        return f"{len(self._cases.places)} golden cases{without}"

    def _disagreement(self, wrong: list[Compared]) -> Outcome:
        """What to say of quantities that differ: of the first, others may follow from it."""
        rows = {
            each.rows[index]
            for each in wrong
            for index in np.flatnonzero((each.differences > self._tolerance).any(axis=1)).tolist()
        }
        first = wrong[0]
        worst, words = self._shown_case(first)
        row = first.rows[worst]
        agreeing = {each.quantity for each in self._compared} - {each.quantity for each in wrong}
        detail = (
            f"{len(rows)} of {self._count()} disagree with what was recorded, by more than "
            f"{self._tolerance:g}: {', '.join(QUANTITY_WORDS[each.quantity] for each in wrong)}. "
            f"{self._cause(first, 'features' in agreeing)} "
            f"{words} is {self._cases.places[row]}."
        )
        observation = self._cases.observations
        shown = shown_observation(observation[row]) if observation is not None else []
        return Outcome(False, detail, [*shown, *self._numbers(first, worst)], self._cases_of(wrong))

    def _cases_of(self, wrong: list[Compared]) -> list[DifferingCase]:
        """Every case that differs, with all that does, the first MAX_SHOWN of each quantity."""
        told: dict[int, list[Difference]] = {}
        for each in wrong:
            differing = each.differences > self._tolerance
            for index in np.flatnonzero(differing.any(axis=1)).tolist():
                told.setdefault(each.rows[index], []).extend(
                    Difference(
                        f"{each.quantity}[{position}]",
                        _shown(each.expected[index, position]),
                        _shown(each.found[index, position]),
                    )
                    for position in np.flatnonzero(differing[index]).tolist()[:MAX_SHOWN]
                )
        return [self._case(row, told[row]) for row in sorted(told)[:MOST_CASES]]

    def _case(self, row: int, differences: list[Difference]) -> DifferingCase:
        observations = self._cases.observations
        text = b"" if observations is None else observations[row]
        known = text.decode("utf-8", "replace") if len(text) <= MOST_CHARACTERS else ""
        return DifferingCase(self._cases.places[row], differences, known)

    def _shown_case(self, compared: Compared) -> tuple[int, str]:
        """The case that is shown: of steps the first that differs, as later ones follow from it."""
        differences = compared.differences.max(axis=1)
        steps = np.array(steps_of(self._cases.episodes))[compared.rows]
        differing = differences > self._tolerance
        if not steps.any():
            return int(np.argmax(differences)), "The worst"
        earliest = differing & (steps == steps[differing].min())
        return int(np.argmax(np.where(earliest, differences, -1.0))), "The first step that differs"

    def _cause(self, first: Compared, features_agree: bool) -> str:
        """Where the difference comes from, as far as can be told."""
        if first.quantity != "meanings":
            found = diagnosis(first.quantity, first.expected, first.found, self._tolerance)
            if found:
                return found
        if first.quantity == "features":
            return "The preprocessor makes other features than training did."
        if first.quantity == "meanings":
            return "The output mapper gives actions other meanings."
        if features_agree or self._cases.features is not None:
            return "The features are those that were recorded: it is the network that differs."
        return "Record `features` as well, to tell whether preprocessor or network differs."

    def _numbers(self, compared: Compared, index: int) -> Iterator[Fault]:
        """Expected and found of one case, where they differ."""
        differing = np.flatnonzero(compared.differences[index] > self._tolerance).tolist()
        for position in differing[:MAX_SHOWN]:
            expected, found = compared.expected[index, position], compared.found[index, position]
            yield Fault(
                f"/{compared.quantity}/{position}",
                f"expected {_shown(expected)}, found {_shown(found)}"
                + self._by(compared, index, position),
            )
        if len(differing) > MAX_SHOWN:
            yield Fault(f"/{compared.quantity}", f"and {len(differing) - MAX_SHOWN} more.")

    def _by(self, compared: Compared, index: int, position: int) -> str:
        """How much two numbers differ; of actions, as their family says it."""
        if compared.quantity == "meanings":
            return "."
        expected, found = compared.expected[index, position], compared.found[index, position]
        if compared.quantity == "actions":
            shortfall = compared.differences[index, position]
            return self._family.shortfall_words(expected, found, shortfall)
        return f": the difference is {abs(found - expected):.3g}."


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
