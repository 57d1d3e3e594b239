"""What is measured: servers, how they are started, what they are asked, what a right answer is."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Group = Literal["comparison", "batch", "fields", "network", "engine"]
Check = Callable[[bytes], None]
"""Raises ValueError if an answer is not a right one."""

USER, PASSWORD = "benchmark", "a password of the benchmark"
AUTHORIZATION = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
CONNECTIONS = (1, 16, 64)
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Subject:
    """A server that is measured.

    Attributes:
        name: As `--only` takes it.
        title: As the table shows it.
        command: Starts it. `{port}`, and `{second}` and `{third}` where it wants more ports, are
            filled in.
        folder: Where the command is run.
        path: Where it takes observations.
        body: What is posted there.
        check: What an answer must pass.
        differing: Each request has an id and a trace of its own, as real clients send them.
        environment: All of the command's variables; filled in like the command.
        authorization: Header that is sent.
        group: Which table it belongs to.
        connections: One run of wrk each.
        items: Observations in one body.
        size: What grows, in tables of growth.
    """

    name: str
    title: str
    command: tuple[str, ...]
    folder: Path
    path: str
    body: bytes
    check: Check
    environment: Mapping[str, str] = field(default_factory=dict)
    authorization: str | None = None
    differing: bool = False
    group: Group = "comparison"
    connections: tuple[int, ...] = CONNECTIONS
    items: int = 1
    size: int = 0


def any_answer(answer: bytes) -> None:
    """Take whatever a server answers."""


def decision_check(probabilities: list[float] | None) -> Check:
    """Check an answer to be one decision.

    Args:
        probabilities: What each action must have; None where they are not known.
    """

    def check(answer: bytes) -> None:
        _check_decision(json.loads(answer), probabilities)

    return check


def batch_check(items: int) -> Check:
    """Check an answer to be that many decisions."""

    def check(answer: bytes) -> None:
        predictions = json.loads(answer)["predictions"]
        if len(predictions) != items:
            raise ValueError(f"{len(predictions)} predictions for {items} observations")
        for prediction in predictions:
            _check_decision(prediction, None)

    return check


def _check_decision(decision: dict[str, Any], probabilities: list[float] | None) -> None:
    missing = {"action", "meaning", "probability"} - decision.keys()
    if missing:
        raise ValueError(f"an answer without {', '.join(sorted(missing))}: {decision}")
    found = decision["probability"]
    if not 0 < found <= 1:
        raise ValueError(f"no probability: {found}")
    if probabilities and abs(found - probabilities[decision["action"]]) > TOLERANCE:
        wanted = probabilities[decision["action"]]
        raise ValueError(f"action {decision['action']} has {found}, and should have {wanted}")
