"""Colours of numbered actions: those that meanings name, ordered ones, as many as are wanted."""

import colorsys
import re
from collections.abc import Sequence

PALETTE = (
    "#2f6f9f", "#e0a100", "#3c9d76", "#c4563f", "#7d6bb5", "#4fa8c4", "#8a8f3c", "#b5628f",
)  # fmt: skip
NAMED = {
    "red": "#c62f2f", "orange": "#e67e22", "yellow": "#e5c100", "green": "#2e9b4f",
    "blue": "#2f6fc4", "purple": "#7d4fb5", "violet": "#7d4fb5", "pink": "#e377a8",
    "brown": "#8a5a33", "black": "#22262b", "white": "#f2f2ee", "gray": "#8a9199",
    "grey": "#8a9199", "cyan": "#27b0c4", "magenta": "#c43fa8", "amber": "#ffb300",
}  # fmt: skip
"""What a meaning that names a colour looks like."""
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
STEPS = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725")
"""From low to high, as heat maps have it."""
LIGHTNESSES = (0.36, 0.52, 0.7)
SATURATION = 0.55


def colours_of(meanings: Sequence[str]) -> list[str]:
    """A colour for each meaning, the same in every picture of a policy.

    Meanings that name colours have these; numbers in their order run from dark to bright; other
    ones have colours that are as far apart as their number allows, neighbours most of all.
    """
    named = [_named(each) for each in meanings]
    known = [each for each in named if each is not None]
    if known and len(set(known)) == len(known):
        others = iter([each for each in _distinct(len(meanings)) if each not in known])
        return [each or next(others) for each in named]
    numbers = [float(each) for each in meanings if NUMBER.fullmatch(each.strip())]
    if len(meanings) > len(PALETTE) and len(numbers) == len(meanings):
        order = sorted(numbers)
        return [_step(order.index(each) / (len(order) - 1)) for each in numbers]
    return _distinct(len(meanings))


def _named(meaning: str) -> str | None:
    found = [NAMED[word] for word in re.findall(r"[a-z]+", meaning.lower()) if word in NAMED]
    return found[0] if len(found) == 1 else None


def _distinct(count: int) -> list[str]:
    if count <= len(PALETTE):
        return [*PALETTE[:count]]
    colours = []
    for index in range(count):
        lightness = LIGHTNESSES[index % len(LIGHTNESSES)]
        red, green, blue = colorsys.hls_to_rgb(index / count, lightness, SATURATION)
        colours.append(_spelt(red, green, blue))
    return colours


def _step(share: float) -> str:
    place = share * (len(STEPS) - 1)
    low = min(int(place), len(STEPS) - 2)
    first, second = _read(STEPS[low]), _read(STEPS[low + 1])
    part = place - low
    return _spelt(*(a + (b - a) * part for a, b in zip(first, second, strict=True)))


def _read(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


def _spelt(red: float, green: float, blue: float) -> str:
    return "#" + "".join(f"{round(255 * each):02x}" for each in (red, green, blue))
