"""From observations to features: by the schema itself, or by uploaded code."""

import contextlib
import math
import struct
import sys
import traceback
import types
import uuid
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.decoding import Record, compile_features
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.errors import Fault, ObservationError, PreprocessorFailed, UploadRejected

Features = NDArray[np.float32]
FILE = "preprocessor.py"
MAX_MESSAGE_CHARACTERS = 500
TOO_LARGE = "a number is too large for the network, which takes float32."


class Tried(NamedTuple):
    """What came of preprocessing observations, each by itself.

    Attributes:
        features: float32[B, F]; the rows of those that failed are 0.
        failures: Row -> what the uploaded code said.
        too_large: Rows with a number beyond float32.
    """

    features: Features
    failures: Mapping[int, str] = {}  # never written to
    too_large: Collection[int] = ()

    def raise_for(self, start: int, end: int) -> None:
        """Raise if one of the rows from `start` to `end` failed.

        Raises:
            PreprocessorFailed: Uploaded code failed.
            ObservationError: A number is too large for the network; every such row is named.
        """
        if not self.failures and not self.too_large:
            return
        failed = [row for row in range(start, end) if row in self.failures]
        if failed:
            raise PreprocessorFailed(self.failures[failed[0]])
        large = [row - start for row in range(start, end) if row in self.too_large]
        if large:
            faults = [Fault(place_of(row, end - start), TOO_LARGE) for row in large]
            raise ObservationError("The observation cannot be decided on.", faults)


class Preprocessor(Protocol):
    """Makes the network's input vectors."""

    def features(self, records: Sequence[Record]) -> Tried:
        """Turn B records into float32[B, F], each by itself."""


class SchemaPreprocessor:
    """The fields in the schema's order: arrays flattened, booleans 0 and 1, enum strings one-hot.

    An optional field that is absent counts as 0 throughout.

    Raises:
        UploadRejected: A field has no fixed width, so a preprocessor is needed.
    """

    def __init__(self, schema: ObservationSchema) -> None:
        varying = [name for name, field in schema.fields.items() if field.feature_width is None]
        if varying:
            raise UploadRejected(
                f"The arrays {', '.join(varying)} have no fixed size, so a network cannot take "
                "them as they are: upload a preprocessor."
            )
        self._width = sum(field.feature_width or 0 for field in schema.fields.values())
        self._flatten = compile_features(schema)
        # Little endian by name: packing as the machine does it lets numbers overflow unseen.
        self._pack = struct.Struct(f"<{self._width}f").pack

    def features(self, records: Sequence[Record]) -> Tried:
        flatten, pack = self._flatten, self._pack
        try:
            packed = b"".join([pack(*flatten(record)) for record in records])
        except OverflowError:  # a number beyond float32: which rows it is, is seldom asked
            rows = np.array([flatten(record) for record in records], dtype=np.float64)
            return narrowed(rows.reshape(len(records), self._width))
        return Tried(np.frombuffer(packed, "<f4").reshape(len(records), self._width))


class UploadedPreprocessor:
    """Code that came with the model: `preprocess(observation) -> numbers`.

    It may define `preprocess_batch(observations) -> rows of numbers` as well, which is then asked
    first; where that fails, each observation is asked for by itself.

    Args:
        path: The Python file. Loading it runs it.
        to_observation: Makes what the code gets of a record.
        width: How many numbers the network takes; None while nobody knows.

    Raises:
        UploadRejected: The file does not load, or has no `preprocess`.
    """

    def __init__(
        self, path: Path, to_observation: Callable[[Any], Observation], width: int | None = None
    ) -> None:
        # A name of its own for each load: two versions may be loaded side by side.
        module = types.ModuleType(f"uploaded_preprocessor_{uuid.uuid4().hex}")
        module.__file__ = self._file = str(path)
        weakref.finalize(self, sys.modules.pop, module.__name__, None)
        self._preprocess = _load(path, module)
        self._preprocess_batch = getattr(module, "preprocess_batch", None)
        self._to_observation = to_observation
        self._width = width

    def features(self, records: Sequence[Any]) -> Tried:
        observations = [self._to_observation(record) for record in records]
        together = self._together(observations)
        if together is not None and self._width in (None, together.shape[1]):
            return narrowed(together)
        rows: list[NDArray[np.float64] | None] = []
        failures: dict[int, str] = {}
        for index, observation in enumerate(observations):
            try:
                rows.append(self._row(observation))
            except PreprocessorFailed as error:
                rows.append(None)
                failures[index] = error.cause
        width = self._width or next((len(row) for row in rows if row is not None), 0)
        for index, row in enumerate(rows):
            if row is not None and len(row) != width:
                rows[index] = None
                failures[index] = self._misfit(len(row), width)
        zeros = np.zeros(width)
        matrix = np.array([zeros if row is None else row for row in rows], dtype=np.float64)
        return narrowed(matrix.reshape(len(rows), width), failures)

    def _misfit(self, made: int, width: int) -> str:
        if self._width is not None:
            return f"preprocess returned {made} numbers, the network takes {width}"
        return f"preprocess returned {width} numbers for one observation and {made} for another"

    def _together(self, observations: Sequence[Observation]) -> NDArray[np.float64] | None:
        """Features of all at once; None where that is not offered, or fails."""
        if not callable(self._preprocess_batch) or not observations:
            return None
        try:
            rows = np.asarray(self._preprocess_batch([_copy(each) for each in observations]))
        except KeyboardInterrupt:
            raise
        except BaseException:  # uploaded code may raise anything; each by itself will say what
            return None
        sound = rows.ndim == 2 and len(rows) == len(observations) and rows.dtype.kind in "biuf"
        return rows.astype(np.float64) if sound and np.isfinite(rows).all() else None

    def _row(self, observation: Observation) -> NDArray[np.float64]:
        try:
            # A copy: code that changes its argument must not change what others see.
            return _numbers(self._preprocess(_copy(observation)))
        except (PreprocessorFailed, KeyboardInterrupt):
            raise
        except BaseException as error:  # uploaded code may raise anything, and exit
            raise PreprocessorFailed(_last_line(error, self._file)) from error


def narrowed(rows: NDArray[np.float64], failures: Mapping[int, str] | None = None) -> Tried:
    """Narrow float64[B, F] to the float32 that networks take; rows beyond it are told."""
    features = narrow(rows)
    too_large: Collection[int] = ()
    if not _sum_is_finite(features):  # one call, where all is well
        too_large = set(np.flatnonzero(~np.isfinite(features).all(axis=1)).tolist())
    return Tried(features, failures or {}, too_large)


def narrow(numbers: NDArray[np.float64]) -> Features:
    """Numbers as float32; those beyond it become infinite."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)


def _sum_is_finite(numbers: NDArray[np.floating]) -> bool:
    """All numbers are finite; False says nothing, as the sum of large ones overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(numbers.sum())


def as_float(number: float) -> float:
    """A number as float64; an integer beyond it becomes infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def place_of(row: int, rows: int) -> str:
    """JSON pointer to an observation: the body itself where it is the only one."""
    return f"/observations/{row}" if rows > 1 else ""


def _copy(value: Any) -> Any:
    """A copy of an observation, of the lists in it too: a default's list serves every request."""
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _load(path: Path, module: types.ModuleType) -> Callable[[Observation], object]:
    sys.modules[module.__name__] = module  # dataclasses look for their module there
    try:
        # Not through the import system: that would write bytecode beside the file.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # uploaded code may raise anything, and exit
        cause = _last_line(error, str(path))
        raise UploadRejected(f"The preprocessor does not load: {cause}.") from error
    preprocess = getattr(module, "preprocess", None)
    if not callable(preprocess):
        raise UploadRejected(
            "The preprocessor has no function `preprocess(observation)` that returns the features."
        )
    return preprocess  # type: ignore[no-any-return]  # what it returns is checked at each call


def _numbers(returned: Any) -> NDArray[np.float64]:
    """What `preprocess` returned as a flat vector of finite numbers.

    Raises:
        PreprocessorFailed: It is anything else.
    """
    try:
        array = np.asarray(returned)
    except ValueError as error:
        raise PreprocessorFailed(f"preprocess returned lists of unequal length: {error}") from error
    if array.dtype == object:  # integers beyond 64 bits arrive like this, and so does rubbish
        with contextlib.suppress(TypeError):
            array = np.array([_number(item) for item in array.ravel()], dtype=np.float64)
    if array.dtype.kind not in "biuf":
        raise PreprocessorFailed(
            f"preprocess must return numbers, it returned {type(returned).__name__}: "
            f"{returned!r:.80}"
        )
    numbers = array.astype(np.float64).ravel()
    if not _sum_is_finite(numbers) and not np.isfinite(numbers).all():
        index = int(np.argmin(np.isfinite(numbers)))
        raise PreprocessorFailed(f"preprocess returned {numbers[index]} as feature {index}")
    return numbers


def _number(item: object) -> float:
    if not isinstance(item, int | float | np.number | np.bool_):
        raise TypeError(item)
    try:
        return float(item)
    except OverflowError:  # finite, but beyond float64: `narrowed` tells
        return float(np.copysign(np.finfo(np.float64).max, 1 if item > 0 else -1))


def _last_line(error: BaseException, file: str) -> str:
    """`ZeroDivisionError: division by zero (preprocessor.py, line 3)`, of uploaded code."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == file
    ]
    if isinstance(error, SyntaxError):
        lines += [error.lineno] if error.filename == file else []
        message = error.msg
    else:
        message = _message(error)
    place = f" ({FILE}, line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {message}{place}"


def _message(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())[:MAX_MESSAGE_CHARACTERS]
    except Exception:  # a class of the uploaded code may not know how to print itself
        return "(it has no message)"
