"""Where a map's cells are labelled with their action, so that many actions stay tellable."""

from collections import deque
from collections.abc import Sequence

FEW_CELLS = 13
"""Up to so many cells a side, each has a label; of finer maps each region has one."""
LEAST_SHARE = 0.01
"""Of all cells, for a region to have a label."""
LABEL_CHARACTERS = 9
Cell = tuple[int, int]


def labelled(cells: Sequence[Cell], words: Sequence[str]) -> list[int]:
    """Which cells have a label.

    Args:
        cells: Column and row of each.
        words: What is said of each.

    Returns:
        Their numbers.
    """
    if max((max(cell) for cell in cells), default=0) < FEW_CELLS:
        return [*range(len(cells))]
    found = []
    for region in _regions(cells, words):
        if len(region) >= max(2, LEAST_SHARE * len(cells)):
            found.append(_middle(region, cells))
    return sorted(found)


def label(action: int, meaning: str) -> str:
    """An action as a cell has room for it: its meaning where that is short, else its number."""
    return meaning if len(meaning) <= LABEL_CHARACTERS else str(action)


def _regions(cells: Sequence[Cell], words: Sequence[str]) -> list[list[int]]:
    """Cells that touch each other and say the same."""
    numbers = {cell: number for number, cell in enumerate(cells)}
    left = set(numbers)
    regions = []
    for start in cells:
        if start not in left:
            continue
        left.discard(start)
        waiting, region = deque([start]), []
        while waiting:
            column, row = waiting.popleft()
            region.append(numbers[column, row])
            beside = ((column + 1, row), (column - 1, row), (column, row + 1), (column, row - 1))
            for cell in beside:
                if cell in left and words[numbers[cell]] == words[numbers[start]]:
                    left.discard(cell)
                    waiting.append(cell)
        regions.append(region)
    return regions


def _middle(region: Sequence[int], cells: Sequence[Cell]) -> int:
    """The cell of a region that is nearest to its centre."""
    across = sum(cells[each][0] for each in region) / len(region)
    upwards = sum(cells[each][1] for each in region) / len(region)
    return min(
        region, key=lambda each: (cells[each][0] - across) ** 2 + (cells[each][1] - upwards) ** 2
    )
