"""A program as a network: run for a batch of observations, and written as ONNX."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.families.comparison import relative_differences
from policy_server.policy.onnx_session import open_session
from policy_server.proving.built_model import PROOF_TOLERANCE, differs, proof_features
from policy_server.proving.independence import HALF_TOLERANCE
from policy_server.proving.onnx_writing import BATCH, GraphWriter
from policy_server.proving.torch_programs.traced import Array, Traced, UnknownProgram

PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83)
"""Rows of a batch that is traced: so many as nothing else has."""
OUTPUT = "output"
MOST_NUMBERS = 1_000_000
"""Of inputs that are computed together, when a program is compared."""
Outputs = Mapping[str, Traced]


@dataclass(frozen=True)
class Source:
    """An input of a program.

    Attributes:
        name: What it is called.
        kind: The type of its numbers.
        shape: Of its array for one observation.
        batch: Rows that it is made for: None for any number, 0 where it has no axis for them.
        batch_axis: Which axis that is.
    """

    name: str
    kind: Any
    shape: tuple[int, ...]
    batch: int | None = None
    batch_axis: int = 0

    def with_rows(self, rows: Any) -> tuple[Any, ...]:
        """The shape of its array for so many rows."""
        if self.batch == 0:
            return self.shape
        return (*self.shape[: self.batch_axis], rows, *self.shape[self.batch_axis :])

    def array(self, numbers: Array) -> Array:
        """Its array of the numbers of each row, [rows, n]."""
        if self.batch == 0:
            return numbers.reshape(self.shape).astype(self.kind)
        rows_first = numbers.reshape(len(numbers), *self.shape)
        return np.moveaxis(rows_first, 0, self.batch_axis).astype(self.kind)


Run = Callable[[Sequence[Traced]], Outputs]
"""Runs a program on the arrays of its inputs."""


def named_outputs(found: Any, names: Sequence[str] = ()) -> Outputs:
    """What a program returned, by names: its own, or else `output`, or `output_0` and so on.

    Raises:
        UnknownProgram: It is no array, and no collection of arrays.
    """
    if isinstance(found, Traced):
        return {names[0] if len(names) == 1 else OUTPUT: found}
    if isinstance(found, dict):
        names, found = [str(name) for name in found], list(found.values())
    if not isinstance(found, list | tuple):
        raise UnknownProgram("it returns no array")
    flat = [each for each in found if each is not None]
    if not flat or not all(isinstance(each, Traced) for each in flat):
        raise UnknownProgram("it returns something else than arrays")
    if len(names) != len(flat) or len(set(names)) < len(names):
        names = [f"{OUTPUT}_{number}" for number in range(len(flat))]
    if len(flat) == 1 and not any(names):
        names = [OUTPUT]
    return dict(zip(names, flat, strict=True))


def write_program(
    run: Run, sources: Sequence[Source], arrays: Sequence[Array], path: Path
) -> float:
    """Trace a program, write it as ONNX, and compare the two.

    Args:
        run: Runs it.
        sources: Its inputs.
        arrays: Its own, such as weights.
        path: The file to write.

    Returns:
        The largest difference of any output on random inputs, relative where outputs exceed 1.

    Raises:
        UnknownProgram: It cannot be said in ONNX, or what is written differs.
    """
    taken = {size for each in arrays for size in each.shape}
    taken.update(*(each.shape for each in sources))
    fixed = sources[0].batch
    count = next((each for each in PRIMES if each not in taken), PRIMES[0]) if fixed is None else 1
    count = fixed or count
    graph = GraphWriter(count if fixed is None else None)
    inputs = [
        Traced(_drawn(each, count, number), graph.input(each.name), graph)
        for number, each in enumerate(sources)
    ]
    outputs = run(inputs)
    if not any(each.name for each in outputs.values()):
        raise UnknownProgram("what it returns is the same for all observations")
    axis: int | str = BATCH if fixed is None else count
    graph.write_graph(
        path,
        {each.name: (each.kind, each.with_rows(axis)) for each in sources},
        {name: _described(each, graph, count, axis) for name, each in outputs.items()},
    )
    half = any(each.dtype == np.float16 for each in arrays)
    return _compared(run, sources, path, HALF_TOLERANCE if half else PROOF_TOLERANCE)


def agreement(kind: str, difference: float) -> str:
    """How a program was converted, for a report."""
    return (
        f"converted from {kind}; on random inputs its outputs agree with those of the file's own "
        f"operators, run one by one, to {difference:.1e}"
    )


def _described(
    output: Traced, graph: GraphWriter, rows: int, axis: int | str
) -> tuple[str, Any, Sequence[int | str]]:
    shape: list[int | str] = list(output.array.shape)
    if shape and axis == BATCH:  # so many rows are traced as nothing else has
        shape = [axis if size == rows else size for size in shape]
    name = output.name or graph.constant(output.array)
    return name, output.array.dtype, shape


def _drawn(source: Source, rows: int, seed: int) -> Array:
    """Random numbers for an input, of a batch."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(source.with_rows(rows)).astype(source.kind)


def _compared(run: Run, sources: Sequence[Source], path: Path, tolerance: float) -> float:
    """How far ONNX Runtime's outputs lie from the program's own."""
    try:
        session = open_session(path)
    except EngineFailed as error:
        raise UnknownProgram(
            f"ONNX Runtime does not load what is written of it ({error})"
        ) from error
    names = [output.name for output in session.get_outputs()]
    largest = 0.0
    for feeds in _batches(sources):
        expected = run([Traced(array.copy()) for array in feeds.values()])
        try:
            found = session.run(names, feeds)
        except Exception as error:  # the runtime's own exceptions have no common root
            raise UnknownProgram(
                f"ONNX Runtime does not run what is written of it ({error})"
            ) from error
        for name, ours in zip(names, found, strict=True):
            largest = max(largest, _difference(expected[name].array, ours))
    if largest > tolerance:
        raise UnknownProgram(differs(largest))
    return largest


def _difference(theirs: Array, ours: Any) -> float:
    ours = np.asarray(ours)
    if ours.shape != theirs.shape:
        return np.inf
    one, other = theirs.astype(np.float64), ours.astype(np.float64)
    sound = ~(np.isnan(one) & np.isnan(other))
    return float(np.max(relative_differences(one[sound], other[sound]), initial=0.0))


def _batches(sources: Sequence[Source]) -> list[dict[str, Array]]:
    """The proof's random inputs, in batches of as many rows as the program takes."""
    width = sum(int(np.prod(each.shape)) for each in sources)
    rows = proof_features(width)
    most = max(1, min(len(rows), MOST_NUMBERS // max(width, 1)))
    step = most if sources[0].batch is None else max(sources[0].batch, 1)
    found = []
    for start in range(0, len(rows) - step + 1, step):
        place, feeds = 0, {}
        for each in sources:
            size = int(np.prod(each.shape))
            part = rows[start : start + step, place : place + size]
            feeds[each.name] = each.array(part)
            place += size
        found.append(feeds)
    return found
