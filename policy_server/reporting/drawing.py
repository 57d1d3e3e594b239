"""Drawings of a report, as SVG within its page: bars, small curves, a map."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from policy_server.contract.fields.field import Value
from policy_server.explaining.contributions import Contribution
from policy_server.explaining.curves import Curve
from policy_server.explaining.influence import Influence
from policy_server.explaining.quantity import Quantity
from policy_server.reporting.findings import PolicyMap

PALETTE = (
    "#2f6f9f", "#e0a100", "#3c9d76", "#c4563f", "#7d6bb5", "#4fa8c4", "#8a8f3c", "#b5628f",
)  # fmt: skip
REST = "#9aa5b0"
"""Of actions beyond those that have a colour of their own."""
LOW, MIDDLE, HIGH = (47, 111, 159), (244, 246, 248), (224, 161, 0)
LABELS, WIDTH, ROW = 190, 760, 22
BARS = 370
SMALL, TALL, MARGIN = 158, 96, 22
MAP_PIXELS = 350
TITLE_CHARACTERS = 22


def parts(quantity: Quantity, shown: Sequence[Contribution]) -> Markup:
    """Contributions as bars to either side of nothing, each with its margin."""
    rows = [
        (
            each.name,
            each.value,
            each.margin,
            f"{quantity.spelt_change(each.value)} ± "
            f"{quantity.spelt_change(each.margin).lstrip('+')}",
        )
        for each in shown
    ]
    return _bars(rows, "Contributions of fields")


def ranks(shown: Sequence[Influence], are_shares: bool) -> Markup:
    """Fields by influence."""
    factor, unit = (100, " %") if are_shares else (1, "")
    rows = [
        (
            each.name,
            each.effect,
            each.margin,
            f"{factor * each.effect:.3g}{unit} ± {factor * each.margin:.2g}{unit}",
        )
        for each in shown
    ]
    return _bars(rows, "Fields by influence")


def _bars(rows: Sequence[tuple[str, float, float, str]], said: str) -> Markup:
    low = min([0.0, *(value - margin for _, value, margin, _ in rows)])
    high = max([0.0, *(value + margin for _, value, margin, _ in rows)])
    scale = BARS / ((high - low) or 1.0)

    def at(value: float) -> float:
        return LABELS + (value - low) * scale

    drawn = []
    for number, (name, value, margin, text) in enumerate(rows):
        top = number * ROW
        middle = top + ROW / 2
        left, right = sorted((at(0), at(value)))
        kind = "less" if value < 0 else "more"
        drawn.append(
            f'<text x="{LABELS - 8}" y="{middle + 4}" text-anchor="end">{_short(name)}</text>'
            f'<rect class="{kind}" x="{left:.1f}" y="{top + 3}" width="{right - left:.1f}" '
            f'height="{ROW - 6}"/><line class="margin" x1="{at(value - margin):.1f}" '
            f'x2="{at(value + margin):.1f}" y1="{middle}" y2="{middle}"/>'
            f'<text x="{max(at(0), at(value + margin)) + 8:.1f}" y="{middle + 4}">'
            f"{escape(text)}</text>"
        )
    return _svg(WIDTH, ROW * len(rows), said, drawn)


def curve(quantity: Quantity, shown: Curve, domain: tuple[float, float]) -> Markup:
    """What a quantity is along one place, in a small chart."""
    numbers = shown.numbers(quantity)
    low, high = domain
    count = len(numbers)

    def at(index: int) -> tuple[float, float]:
        x = 6 + (SMALL - 12) * (index / (count - 1) if count > 1 else 0.5)
        share = (numbers[index] - low) / ((high - low) or 1.0)
        return x, MARGIN + (TALL - 2 * MARGIN) * (1 - share)

    points = [at(index) for index in range(count)]
    drawn = [f'<text class="name" x="2" y="12">{_short(shown.place.name)}</text>']
    if shown.field.numeric:
        drawn += [
            f'<line class="curve" x1="{a:.1f}" y1="{b:.1f}" x2="{c:.1f}" y2="{d:.1f}"/>'
            for (a, b), (c, d) in pairwise(points)
        ]
    else:
        drawn += [f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points]
    near = _nearest(shown)
    x, y = points[near]
    drawn.append(f'<circle class="now" cx="{x:.1f}" cy="{y:.1f}" r="6"/>')
    for text, place, anchor in (
        (_spelt(shown.values[0]), 2, "start"),
        (_spelt(shown.values[-1]), SMALL - 2, "end"),
    ):
        drawn.append(
            f'<text class="end" x="{place}" y="{TALL - 4}" text-anchor="{anchor}">'
            f"{escape(text[:12])}</text>"
        )
    ends = f"from {quantity.spelt(min(numbers))} to {quantity.spelt(max(numbers))}"
    return _svg(SMALL, TALL, f"{shown.place.name}: {ends}", drawn)


def policy_map(shown: PolicyMap) -> Markup:
    """What is decided over two places: actions as colours, means between two of them."""
    quantity = shown.quantity
    columns, rows = len(shown.across[1]), len(shown.upwards[1])
    cell = MAP_PIXELS / max(columns, rows)
    colours = _colours(shown)
    drawn = []
    for index, weighed in enumerate(shown.weighed):
        x, y = index % columns, rows - 1 - index // columns
        words = quantity.decided_words(weighed)
        place = (
            f"{shown.across[0]} {_spelt(shown.across[1][x])}, "
            f"{shown.upwards[0]} {_spelt(shown.upwards[1][index // columns])}: {words}"
        )
        drawn.append(
            f'<rect x="{LABELS + x * cell:.1f}" y="{y * cell:.1f}" width="{cell:.1f}" '
            f'height="{cell:.1f}" fill="{colours[words]}"><title>{escape(place)}</title></rect>'
        )
    bottom, right = rows * cell, LABELS + columns * cell
    (first, *_, last), (under, *_, over) = shown.across[1], shown.upwards[1]
    ends: tuple[tuple[str, float, float, str], ...] = (
        (_spelt(first), LABELS, bottom + 14, "start"),
        (_spelt(last), right, bottom + 14, "end"),
        (shown.across[0], (LABELS + right) / 2, bottom + 30, "middle"),
        (_spelt(under), LABELS - 6, bottom, "end"),
        (_spelt(over), LABELS - 6, 11, "end"),
        (shown.upwards[0], LABELS - 6, bottom / 2, "end"),
    )
    for text, left, top, anchor in ends:
        drawn.append(f'<text x="{left}" y="{top}" text-anchor="{anchor}">{_short(text)}</text>')
    said = f"What is decided over {shown.across[0]} and {shown.upwards[0]}"
    return _svg(max(WIDTH, right), bottom + 36, said, drawn)


def legend(shown: PolicyMap) -> list[tuple[str, str, float]]:
    """The colours of a map: colour, what it stands for, its share of the points."""
    words = [shown.quantity.decided_words(each) for each in shown.weighed]
    colours = _colours(shown)
    if not shown.quantity.is_share:
        ends = min(words, key=float), max(words, key=float)
        return [(colours[each], each, 0.0) for each in dict.fromkeys(ends)]
    found = [(colours[each], each, words.count(each) / len(words)) for each in colours]
    return sorted(found, key=lambda each: -each[2])


def _colours(shown: PolicyMap) -> Mapping[str, str]:
    words = list(dict.fromkeys(shown.quantity.decided_words(each) for each in shown.weighed))
    if shown.quantity.is_share:
        known = sorted(words, key=lambda each: (len(each), each))
        return {
            each: PALETTE[number] if number < len(PALETTE) else REST
            for number, each in enumerate(known)
        }
    numbers = [float(each) for each in words]
    low, reach = min(numbers), (max(numbers) - min(numbers)) or 1.0
    return {each: _between((float(each) - low) / reach) for each in words}


def _between(share: float) -> str:
    one, two, part = (LOW, MIDDLE, 2 * share) if share < 0.5 else (MIDDLE, HIGH, 2 * share - 1)
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(one, two, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _nearest(shown: Curve) -> int:
    def far(index: int) -> float:
        value, now = shown.values[index], shown.now
        if isinstance(value, int | float) and isinstance(now, int | float):
            return abs(value - now)
        return float(value != now)

    return min(range(len(shown.values)), key=far)


def _spelt(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _short(text: str) -> Markup:
    cut = text if len(text) <= TITLE_CHARACTERS else f"{text[: TITLE_CHARACTERS - 1]}…"
    return escape(cut)


def _svg(width: float, height: float, said: str, drawn: Sequence[str]) -> Markup:
    """A drawing; `drawn` is markup already, in which all that is not ours was escaped."""
    begin = f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
    return Markup(f'{begin}aria-label="{escape(said)}">{"".join(drawn)}</svg>')
