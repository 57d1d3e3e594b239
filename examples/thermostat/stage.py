"""The heated room as the front-end plays and draws it."""

import math
from collections.abc import Iterable, Sequence

from examples.thermostat.environment import MAX_STEPS, STEP_HOURS, Room, Scene

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 460, 226, 34, 44, 28
BAND = 0.5
"""Kelvin to either side of the set point that are drawn as the target."""
LOW, HIGH = 14.0, 25.0
"""Degrees Celsius that are always on the axis."""
ROOM_COLOUR, BAND_COLOUR, WINDOW_COLOUR = "#e0a100", "#2e9b4f", "#2f6fc4"


class Stage:
    """Twelve hours in the room, and what they look like."""

    def __init__(self) -> None:
        """Prepare a room."""
        self._room = Room()

    def reset(self, seed: int) -> dict[str, object]:
        """Begin an episode: the first observation."""
        return self._room.reset(seed)

    def step(self, actions: Sequence[float]) -> tuple[dict[str, object], float, bool]:
        """Do what a policy has decided.

        Args:
            actions: As a decision has them: the heating power in kW.

        Returns:
            The observation, the reward, and whether the episode has ended.

        Raises:
            ValueError: It is no single number.
        """
        if len(actions) != 1 or not math.isfinite(actions[0]):
            raise ValueError("An action here is one number, the heating power in kW.")
        return self._room.step(float(actions[0]))

    def scene(self) -> Scene:
        """What can be seen now."""
        return self._room.scene()

    @staticmethod
    def draw(scenes: Sequence[Scene], ink: str) -> tuple[str, str]:
        """Draw the scenes of an episode: temperature over time, with the target.

        Args:
            scenes: From the first on.
            ink: Colour of text.

        Returns:
            The drawing as SVG, and what it shows in words.
        """
        low = math.floor(min([LOW, *(each.room for each in scenes)]))
        high = math.ceil(max([HIGH, *(each.room for each in scenes)]))
        places = _Places(low, high)
        now = scenes[-1]
        window = "open" if now.window_open else "closed"
        told = f"room {now.room:.1f} °C, set point {now.set_point:.1f} °C"
        outside = f"outdoors {now.outdoor:.1f} °C, window {window}"
        shapes = [*_axes(places, ink), _band(places, scenes), *_windows(places, scenes)]
        shapes += [_text(4, 13, f"{told}; {outside}", ink), *_legend(ink)]
        line = _points(places.at(step, each.room) for step, each in enumerate(scenes))
        shapes.append(
            f'<polyline points="{line}" fill="none" stroke="{ROOM_COLOUR}" stroke-width="2.5"/>'
        )
        x, y = places.at(len(scenes) - 1, now.room)
        shapes.append(f'<circle cx="{x}" cy="{y}" r="5" fill="{ROOM_COLOUR}" stroke="{ink}"/>')
        size = f'width="{WIDTH}" height="{HEIGHT}"'
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(shapes)}</svg>'
        hours = (len(scenes) - 1) * STEP_HOURS
        return svg, f"After {hours:g} hours: {told}; {outside}."


class _Places:
    """Where steps and temperatures lie in the drawing."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def at(self, step: float, temperature: float) -> tuple[float, float]:
        across = LEFT + min(step, MAX_STEPS) / MAX_STEPS * (WIDTH - LEFT - 12)
        share = (temperature - self.low) / (self.high - self.low)
        return round(across, 1), round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _points(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)


def _axes(places: _Places, ink: str) -> list[str]:
    """Hours and degrees."""
    shapes = []
    for degrees in range(math.ceil(places.low / 5) * 5, math.floor(places.high) + 1, 5):
        left, right = places.at(0, degrees), places.at(MAX_STEPS, degrees)
        shapes.append(
            f'<line x1="{left[0]}" y1="{left[1]}" x2="{right[0]}" y2="{right[1]}" '
            f'stroke="{ink}" stroke-opacity="0.2"/>'
        )
        shapes.append(_text(4, left[1] + 4, f"{degrees}°", ink))
    for hour in range(0, round(MAX_STEPS * STEP_HOURS) + 1, 3):
        x, _ = places.at(hour / STEP_HOURS, places.low)
        shapes.append(_text(x - 18, HEIGHT - 4, f"{hour} h", ink))
    return shapes


def _band(places: _Places, scenes: Sequence[Scene]) -> str:
    """The set point and what is near it, from step to step."""
    above = [(step, each.set_point + BAND) for step, each in enumerate(scenes)]
    below = [(step, each.set_point - BAND) for step, each in enumerate(scenes)]
    corners = [places.at(step + more, value) for step, value in above for more in (0, 1)]
    corners += [places.at(step + more, value) for step, value in below[::-1] for more in (1, 0)]
    return f'<polygon points="{_points(corners)}" fill="{BAND_COLOUR}" fill-opacity="0.35"/>'


def _legend(ink: str) -> list[str]:
    """What the shapes are, in a row."""
    shown = [
        (4, ROOM_COLOUR, 3, "1", "room"),
        (90, BAND_COLOUR, 12, "0.35", f"set point ± {BAND:g} K"),
        (240, WINDOW_COLOUR, 4, "1", "window open"),
    ]
    shapes = []
    for x, colour, thick, opacity, words in shown:
        shapes.append(
            f'<rect x="{x}" y="{28 - thick / 2:g}" width="24" height="{thick}" fill="{colour}" '
            f'fill-opacity="{opacity}"/>'
        )
        shapes.append(_text(x + 30, 32, words, ink))
    return shapes


def _windows(places: _Places, scenes: Sequence[Scene]) -> list[str]:
    """A bar along the axis while the window is open."""
    begins = [places.at(step, places.low) for step, each in enumerate(scenes) if each.window_open]
    wide = places.at(1, places.low)[0] - LEFT
    return [
        f'<rect x="{x}" y="{y - 4}" width="{wide:.1f}" height="4" fill="{WINDOW_COLOUR}"/>'
        for x, y in begins
    ]


def _text(x: float, y: float, words: str, ink: str) -> str:
    look = f'font-family="sans-serif" font-size="12" fill="{ink}"'
    return f'<text x="{x}" y="{y}" {look}>{words}</text>'
