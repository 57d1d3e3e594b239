"""From observations to features: by the schema itself, or by uploaded code."""

import contextlib
import math
import sys
import traceback
import types
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.schema import Field, Observation, ObservationSchema, Value
from policy_server.errors import Fault, ObservationError, PreprocessorFailed, UploadRejected

Features = NDArray[np.float32]
FILE = "preprocessor.py"
MAX_MESSAGE_CHARACTERS = 500
TOO_LARGE = "a number is too large for the network, which takes float32."


class Preprocessor(Protocol):
    """Makes the network's input vectors."""

    def features(self, observations: Sequence[Observation]) -> Features:
        """Turn B observations into float32[B, F]."""


class SchemaPreprocessor:
    """The fields in the schema's order: arrays flattened, booleans 0 and 1, enum strings one-hot.

    An optional field that is absent counts as 0 throughout.

    Raises:
        UploadRejected: A field has no fixed width, so a preprocessor is needed.
    """

    def __init__(self, schema: ObservationSchema) -> None:
        self._fields = schema.fields
        varying = [name for name, field in schema.fields.items() if field.feature_width is None]
        if varying:
            raise UploadRejected(
                f"The arrays {', '.join(varying)} have no fixed size, so a network cannot take "
                "them as they are: upload a preprocessor."
            )

    def features(self, observations: Sequence[Observation]) -> Features:
        rows = [self._row(observation) for observation in observations]
        width = sum(field.feature_width or 0 for field in self._fields.values())
        return as_features(np.array(rows, dtype=np.float64).reshape(len(rows), width))

    def _row(self, observation: Observation) -> list[float]:
        row: list[float] = []
        for name, field in self._fields.items():
            if name in observation:
                _append(row, field, observation[name])
            else:
                row.extend([0.0] * (field.feature_width or 0))
        return row


class UploadedPreprocessor:
    """Code that came with the model: `preprocess(observation) -> numbers`.

    Args:
        path: The Python file. Loading it runs it.

    Raises:
        UploadRejected: The file does not load, or has no `preprocess`.
    """

    def __init__(self, path: Path) -> None:
        # A name of its own for each load: two versions may be loaded side by side.
        module = types.ModuleType(f"uploaded_preprocessor_{uuid.uuid4().hex}")
        module.__file__ = self._file = str(path)
        weakref.finalize(self, sys.modules.pop, module.__name__, None)
        self._preprocess = _load(path, module)

    def features(self, observations: Sequence[Observation]) -> Features:
        rows = [self._row(observation) for observation in observations]
        widths = {len(row) for row in rows}
        if len(widths) > 1:
            raise PreprocessorFailed(
                f"preprocess returned {min(widths)} numbers for one observation and "
                f"{max(widths)} for another"
            )
        width = max(widths, default=0)
        return as_features(np.array(rows, dtype=np.float64).reshape(len(rows), width))

    def _row(self, observation: Observation) -> NDArray[np.float64]:
        try:
            # A copy: code that changes its argument must not change what others see.
            return _numbers(self._preprocess(_copy(observation)))
        except (PreprocessorFailed, KeyboardInterrupt):
            raise
        except BaseException as error:  # uploaded code may raise anything, and exit
            raise PreprocessorFailed(_last_line(error, self._file)) from error


def as_features(rows: NDArray[np.float64]) -> Features:
    """Narrow float64[B, F] to the float32 that networks take.

    Raises:
        ObservationError: Numbers are too large for that; every row with one is named.
    """
    features = narrow(rows)
    finite = np.isfinite(features)
    if not finite.all():
        faulty = np.flatnonzero(~finite.all(axis=1)).tolist()
        faults = [Fault(place_of(row, len(rows)), TOO_LARGE) for row in faulty]
        raise ObservationError("The observation cannot be decided on.", faults)
    return features


def narrow(numbers: NDArray[np.float64]) -> Features:
    """Numbers as float32; those beyond it become infinite."""
    with np.errstate(over="ignore"):
        return numbers.astype(np.float32)


def as_float(number: float) -> float:
    """A number as float64; an integer beyond it becomes infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def place_of(row: int, rows: int) -> str:
    """JSON pointer to an observation: the body itself where it is the only one."""
    return f"/observations/{row}" if rows > 1 else ""


def complete(schema: ObservationSchema, observation: Mapping[str, Value]) -> Observation:
    """An observation in the schema's order, with defaults where an optional field is absent."""
    completed: Observation = {}
    for name, field in schema.fields.items():
        if name in observation:
            completed[name] = observation[name]
        elif field.default is not None:
            completed[name] = field.default
    return completed


def _append(row: list[float], field: Field, value: Value) -> None:
    if field.items is not None and isinstance(value, list):
        for item in value:
            _append(row, field.items, item)
    elif isinstance(value, str):
        row.extend(float(member == value) for member in field.enum)
    elif isinstance(value, bool | int | float):
        row.append(as_float(value))


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
    if not np.isfinite(numbers).all():
        index = int(np.argmin(np.isfinite(numbers)))
        raise PreprocessorFailed(f"preprocess returned {numbers[index]} as feature {index}")
    return numbers


def _number(item: object) -> float:
    if not isinstance(item, int | float | np.number | np.bool_):
        raise TypeError(item)
    try:
        return float(item)
    except OverflowError:  # finite, but beyond float64: as_features refuses it
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
