"""One run of the benchmark: what is prepared, what is measured, in which order it is shown."""

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import engines, machine, ours, peers
from benchmarks.figures import Figures, Measurement, Row, write_figures
from benchmarks.processes import NotServing
from benchmarks.rounds import run_rounds, run_steady
from benchmarks.subjects import Subject, decision_check

STEADY_SUBJECT = "ours"
STEADY_REQUESTS = {"long": 1_000_000, "plain": 200_000, "quick": 20_000}
GROWTH_ROUNDS = 3
FIGURES_FILE = "figures.json"

Tell = Callable[[str], None]


class Bench:
    """Everything between the options and the figures.

    Args:
        options: Of the command line.
        cache: Where environments lie and figures are kept.
        work: Empty folder, for what only this run needs.
        others: Names of the peers.
        tell: Told what is being done.
    """

    def __init__(
        self,
        options: argparse.Namespace,
        cache: Path,
        work: Path,
        others: Sequence[str],
        tell: Tell,
    ) -> None:
        self._options = options
        self._cache = cache
        self._work = work
        self._others = others
        self._tell = tell
        self._servers: list[Subject] = []
        self._extent: list[Subject] = []
        self._steady: list[Subject] = []
        self._faults: dict[str, str] = {}
        self._beside = contextlib.ExitStack()

    def prepare(self) -> None:
        """Publish policies, and see to it that all servers are ready to be started."""
        self._tell("publishing")
        work = self._work
        published = ours.prepare_lpoc(work)
        probabilities = ours.probabilities_of(work / "with", work / "log")
        own = list(ours.variants(work, probabilities))
        floor = peers.floor()
        differing = replace(
            floor, name="floor-differing", title="floor, heads differ", differing=True
        )
        self._servers = [one for one in (floor, differing) if self._wanted(one.name)]
        for one in own:
            if self._wanted(one.name, "ours" if one.group == "comparison" else one.group):
                (self._servers if one.group == "comparison" else self._extent).append(one)
        policy = peers.write_policy_folder(published, work / "with", work / "policy")
        (work / "home").mkdir()
        for name in self._others:
            try:
                check = decision_check(probabilities)
                found = peers.peer(name, self._cache, policy, work / "home", check)
                self._servers.append(found)
            except NotServing as error:
                self.leave_out(name, str(error))
        if self._wanted("growth"):
            self._extent += ours.growing(work)
        if self._wanted("engines"):
            (work / "engines").mkdir()
            self._extent += self._beside.enter_context(engines.side_by_side(work / "engines"))
        if self._wanted("memory"):
            self._steady = [one for one in own if one.name == STEADY_SUBJECT]

    def leave_out(self, name: str, why: str) -> None:
        """Note that a peer cannot be measured."""
        self._tell(f"{name} is left out: {why}")
        self._faults[name] = why

    def measure(self) -> Figures:
        """Run all rounds; figures are kept after each measurement."""
        options, kept = self._options, self._cache / FIGURES_FILE
        figures = Figures(machine.describe(), options.seconds, list(self._rows()))
        for name, why in self._faults.items():
            figures.measurements.append(Measurement(name, 1, fault=why))
        for subjects, rounds in (
            (self._servers, options.rounds),
            (self._extent, min(options.rounds, GROWTH_ROUNDS)),
        ):
            for found in run_rounds(subjects, rounds, options.seconds, self._work, self._tell):
                figures.measurements.append(found)
                write_figures(figures, kept)
        extent = "quick" if options.quick else "long" if options.long else "plain"
        for subject in self._steady:
            requests = STEADY_REQUESTS[extent]
            figures.steady += run_steady(subject, requests, options.seconds, self._work, self._tell)
        write_figures(figures, kept)
        return figures

    def close(self) -> None:
        """End what runs beside the servers."""
        self._beside.close()

    def _rows(self) -> Iterator[Row]:
        """In the order of the tables: the floor, this server, others as they are listed."""
        known = {one.name: one for one in [*self._servers, *self._extent]}
        own = [name for name in known if name not in peers.BY_NAME]
        for name in [*own, *peers.BY_NAME]:
            if name in known:
                one = known[name]
                yield Row(name, one.title, one.group, one.items, one.size)
            elif name in self._faults:
                yield Row(name, peers.title(name))

    def _wanted(self, *names: str) -> bool:
        return wanted(self._options.only, *names)


def wanted(only: Sequence[str] | None, *names: str) -> bool:
    """One of the names is among those that were asked for; all are where none was."""
    return not only or any(name in only for name in names)
