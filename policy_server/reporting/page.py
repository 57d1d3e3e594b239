"""The page of a report, rendered."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2
from markupsafe import Markup

from policy_server.contract.contract import Contract
from policy_server.contract.schema import Observation
from policy_server.policy.engines.registry import ENGINES
from policy_server.reporting import drawing
from policy_server.reporting.before import Compared
from policy_server.reporting.findings import Explained, Findings
from policy_server.store.manifest import Manifest

TEMPLATE = Path(__file__).with_name("report.html.jinja")
MOST_FIELDS, MOST_PARTS, MOST_CURVES, MOST_RANKS = 60, 15, 8, 20
MOST_CHARACTERS = 600
"""Of an observation as JSON."""


@dataclass(frozen=True)
class About:
    """What is known of a version before it is asked.

    Attributes:
        manifest: As it lies in the version's folder.
        contract: What it was proven against.
        active: Whether it decides now.
        golden: How many golden observations it has.
        made: When the report is made.
    """

    manifest: Manifest
    contract: Contract
    active: bool
    golden: int
    made: datetime


def render(
    about: About, findings: Findings | None, compared: Compared | None, notes: Sequence[str]
) -> str:
    """The HTML.

    Args:
        about: What is known of the version.
        findings: What asking it found; None where it could not be asked.
        compared: How it differs from the one before; None where there is nothing to compare.
        notes: Why something is missing, in sentences.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["observation"] = _as_json
    environment.filters["share"] = lambda share: f"{100 * share:.1f} %"
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    fields = [
        (name, each.in_words(), " ".join((each.description or "").split()))
        for name, each in about.contract.schema.fields.items()
    ]
    manifest = about.manifest
    engine = ENGINES.get(manifest.engine or "")
    return template.render(
        about=about,
        manifest=manifest,
        created=datetime.fromtimestamp(manifest.created, UTC),
        engine=engine.word if engine is not None else manifest.engine,
        fields=fields[:MOST_FIELDS],
        more_fields=max(0, len(fields) - MOST_FIELDS),
        findings=findings,
        explained=[_drawn(each) for each in findings.explained] if findings else [],
        ranks=_ranks(findings),
        policy_map=_map(findings),
        compared=compared,
        notes=notes,
    )


@dataclass(frozen=True)
class Drawn:
    """A decision with its drawings."""

    explained: Explained
    parts: Markup
    curves: list[Markup]
    changes: list[str]


def _drawn(explained: Explained) -> Drawn:
    quantity, shown = explained.parts.quantity, explained.curves[:MOST_CURVES]
    numbers = [number for each in shown for number in each.numbers(quantity)]
    domain = (0.0, 1.0) if quantity.is_share else (min(numbers or [0]), max(numbers or [1]))
    changes = [
        " and ".join(
            f"{place.name} from {_spelt(now)} to {_spelt(value)}"
            for place, now, value in change.moves
        )
        + f": then {quantity.decided_words(change.weighed)}."
        for change in explained.changes
    ]
    return Drawn(
        explained,
        drawing.parts(quantity, explained.parts.parts[:MOST_PARTS]),
        [drawing.curve(quantity, each, domain) for each in shown],
        changes,
    )


def _ranks(findings: Findings | None) -> Markup | None:
    if findings is None or not findings.influences:
        return None
    are_shares = all(each.parts.quantity.is_share for each in findings.explained)
    return drawing.ranks(findings.influences[:MOST_RANKS], are_shares)


def _map(findings: Findings | None) -> tuple[Markup, list[tuple[str, str, float]]] | None:
    if findings is None or findings.policy_map is None:
        return None
    return drawing.policy_map(findings.policy_map), drawing.legend(findings.policy_map)


def _as_json(observation: Observation) -> str:
    text = json.dumps(observation, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}..."


def _spelt(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
