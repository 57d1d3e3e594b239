"""Draws assets/architecture.svg: the rooms, what each is for, and who imports whom.

All text is read from the sources: rooms are the packages of policy_server, captions are the first
lines of their docstrings, arrows are their imports. Standard library only; equal sources make an
equal picture. `python3.11 assets/draw_architecture.py` rewrites it.
"""

import ast
import functools
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "policy_server"
TARGET = Path(__file__).with_name("architecture.svg")
TOP = "top level"
TOP_FILES = ("app.py", "api.py", "generate.py", "configuration.py", "frontend.py")

MARGIN, CORNER = 40, 10
BOX, GAP_X, GAP_Y = 290, 40, 44
HEAD, LINE, PADDING = 26, 17, 14
CHARACTERS = 36
INK, FAINT, PAPER, LINE_COLOUR, ACCENT = "#1d2733", "#5b6875", "#fbfaf7", "#c9cfd6", "#2f6f9f"
FILLS = ("#e8eef4", "#e6f1ec", "#f3efe2", "#f3e8e4", "#ece9f4", "#e4f0f3", "#efeee9")

Graph = dict[str, frozenset[str]]


@dataclass(frozen=True)
class Room:
    """A box of the picture.

    Attributes:
        name: As the imports say it.
        lines: What stands below the name.
        imports: The rooms that it imports.
    """

    name: str
    lines: tuple[str, ...]
    imports: frozenset[str]

    @property
    def height(self) -> int:
        """Of the box, in pixels."""
        return HEAD + LINE * len(self.lines) + PADDING


@dataclass(frozen=True)
class Place:
    """Where a box lies: column 0 holds the longest chain, others lie left and right of it."""

    column: int
    top: int
    height: int


def rooms(root: Path = ROOT) -> dict[str, Room]:
    """The top level and every room below it, as the sources have them."""
    package = root / PACKAGE
    sources = {path.parent.name: path for path in sorted(package.glob("*/__init__.py"))}
    sources |= {path.stem: path for path in sorted(package.glob("[!_]*.py"))}
    found = {}
    for name, path in sources.items():
        files = sorted(path.parent.rglob("*.py")) if path.name == "__init__.py" else [path]
        caption = tuple(textwrap.wrap(_first_line(path), CHARACTERS))
        found[name] = Room(name, caption, _imports(files) - {name})
    files = [root / name for name in TOP_FILES if (root / name).is_file()]
    lines = tuple(f"{path.name}: {_first_line(path)}" for path in files)
    return {TOP: Room(TOP, lines, _imports(files)), **found}


def levels(graph: Graph) -> list[list[str]]:
    """Rooms in rows, each as far up as its importers allow; the first of a row leads furthest."""

    @functools.cache
    def below(name: str) -> int:
        return 1 + max((below(other) for other in graph[name]), default=0)

    @functools.cache
    def level(name: str) -> int:
        above = [level(other) for other, known in graph.items() if name in known]
        return 1 + max(above, default=0) if name != TOP else 0

    last = max(map(level, graph))
    rows = [[name for name in graph if level(name) == number] for number in range(last + 1)]
    return [sorted(row, key=lambda name: (-below(name), name)) for row in rows if row]


def direct(graph: Graph) -> Graph:
    """The imports that do not follow from others: arrows for the rest would only cross them."""
    return {
        name: frozenset(
            other
            for other in others
            if not any(other in _reached(graph, via) for via in others - {other})
        )
        for name, others in graph.items()
    }


def draw(found: Mapping[str, Room]) -> str:
    """The picture as SVG: the longest chain in one column, other rooms beside it."""
    graph = {name: room.imports for name, room in found.items()}
    places: dict[str, Place] = {}
    top = 92
    side = 0
    for row in levels(graph):
        for index, name in enumerate(row):
            side += index > 0
            column = 0 if index == 0 else (1, -1)[side % 2 - 1]
            places[name] = Place(column, top, found[name].height)
        top += max(found[name].height for name in row) + GAP_Y
    leftmost = min(place.column for place in places.values())
    width = 2 * MARGIN + (2 - leftmost) * BOX + (1 - leftmost) * GAP_X
    origin = MARGIN - leftmost * (BOX + GAP_X)
    fills = dict(zip(sorted(places, key=lambda name: places[name].top), FILLS * 9, strict=False))
    boxes = [
        _box(found[name], *_span(place, origin, width, name), place.top, fills[name])
        for name, place in places.items()
    ]
    arrows = [
        _arrow(places[name], places[other], origin, name == TOP)
        for name, others in sorted(direct(graph).items())
        for other in sorted(others)
    ]
    return _page(width, top - GAP_Y + MARGIN, [*arrows, *boxes])


def _first_line(path: Path) -> str:
    """The first sentence of a module's docstring, as far as its first line goes."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return re.split(r"\.(?: |$)", text.partition("\n")[0])[0].replace("`", "")


def _imports(files: Iterable[Path]) -> frozenset[str]:
    """Rooms that files import, wherever in the file."""
    names: set[str] = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name.split(".")[1] for name in names if name.startswith(f"{PACKAGE}."))


def _reached(graph: Graph, start: str) -> set[str]:
    return set(graph[start]).union(*(_reached(graph, name) for name in graph[start]))


def _span(place: Place, origin: int, width: int, name: str) -> tuple[int, int]:
    """Left edge and width of a box; the top level spans all columns."""
    if name == TOP:
        return MARGIN, width - 2 * MARGIN
    return origin + place.column * (BOX + GAP_X), BOX


def _box(room: Room, left: int, width: int, top: int, fill: str) -> str:
    name = escape(room.name)
    parts = [
        f'<rect x="{left}" y="{top}" width="{width}" height="{room.height}" rx="8" '
        f'fill="{fill}" stroke="{LINE_COLOUR}"/>',
        f'<text class="name" x="{left + PADDING}" y="{top + HEAD - 4}">{name}</text>',
    ]
    for number, line in enumerate(room.lines, start=1):
        y = top + HEAD - 2 + LINE * number
        parts.append(f'<text x="{left + PADDING}" y="{y}">{_styled(line)}</text>')
    return "\n".join(parts)


def _styled(line: str) -> str:
    """A line of text; a leading file name in bold."""
    file, colon, rest = line.partition(": ")
    if colon and file.endswith(".py"):
        return f'<tspan class="file">{escape(file)}</tspan>  {escape(rest)}'
    return escape(line)


def _arrow(source: Place, target: Place, origin: int, from_top: bool) -> str:
    """Straight down in a column; from one column to another around a rounded corner."""
    centre = [origin + place.column * (BOX + GAP_X) + BOX // 2 for place in (source, target)]
    start_x, start_y = centre[1] if from_top else centre[0], source.top + source.height
    end_x, end_y = centre[1], target.top
    if start_x == end_x:
        path = f"M{start_x} {start_y}V{end_y - 2}"
    elif end_y - start_y <= GAP_Y:  # to the next row: leave beside the arrow of the column
        toward = 1 if end_x > start_x else -1
        start_x, middle = start_x + toward * BOX // 4, (start_y + end_y) // 2
        path = (
            f"M{start_x} {start_y}V{middle - CORNER}q0 {CORNER} {toward * CORNER} {CORNER}"
            f"H{end_x - toward * CORNER}q{toward * CORNER} 0 {toward * CORNER} {CORNER}V{end_y - 2}"
        )
    else:  # down beside what lies between, then in from the side
        toward = 1 if end_x > start_x else -1
        middle = end_y + target.height // 2
        edge = end_x - toward * (BOX // 2 + 2)
        path = (
            f"M{start_x} {start_y}V{middle - CORNER}q0 {CORNER} {toward * CORNER} {CORNER}H{edge}"
        )
    return f'<path d="{path}" class="arrow" marker-end="url(#head)"/>'


def _page(width: int, height: int, parts: Iterable[str]) -> str:
    style = (
        f"text{{font:13px 'DejaVu Sans','Segoe UI',Helvetica,Arial,sans-serif;fill:{FAINT}}}"
        f".title{{font-size:20px;font-weight:bold;fill:{INK}}}"
        f".name{{font-size:15px;font-weight:bold;fill:{INK}}}"
        f".file{{font-weight:bold;fill:{INK}}}"
        f".arrow{{fill:none;stroke:{ACCENT};stroke-width:1.8}}"
    )
    note = "An arrow means “imports”. Imports that follow from other arrows are not drawn."
    body = "\n".join(parts)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" \
width="{width}" height="{height}" role="img" aria-label="Rooms of the policy server">
<style>{style}</style>
<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" \
orient="auto"><path d="M0 0L10 5L0 10z" fill="{ACCENT}"/></marker></defs>
<rect width="{width}" height="{height}" rx="14" fill="{PAPER}" stroke="{LINE_COLOUR}"/>
<text class="title" x="{MARGIN}" y="46">Rooms of the policy server</text>
<text x="{MARGIN}" y="70">{note}</text>
{body}
</svg>
"""


if __name__ == "__main__":
    TARGET.write_text(draw(rooms()), encoding="utf-8")
