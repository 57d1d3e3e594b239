"""From observations to features: by the schema itself, or by uploaded code."""

import contextlib
import sys
import traceback
import types
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.schema import Field, Observation, ObservationSchema, Value
from policy_server.errors import Fault, ObservationError, PreprocessorFailed, UploadRejected

Features = NDArray[np.float32]
FILE = "preprocessor.py"


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
        self._preprocess = _load(path)

    def features(self, observations: Sequence[Observation]) -> Features:
        rows = [self._row(observation) for observation in observations]
        widths = {len(row) for row in rows}
        if len(widths) > 1:
            raise PreprocessorFailed(
                f"preprocess returned {min(widths)} numbers for one observation and "
                f"{max(widths)} for another"
            )
        return as_features(np.array(rows, dtype=np.float64))

    def _row(self, observation: Observation) -> NDArray[np.float64]:
        try:
            # A copy: code that changes its argument must not change what others see.
            returned = self._preprocess(dict(observation))
        except (Exception, SystemExit) as error:
            raise PreprocessorFailed(_last_line(error)) from error
        return _numbers(returned)


def as_features(rows: NDArray[np.float64]) -> Features:
    """Narrow float64[B, F] to the float32 that networks take.

    Raises:
        ObservationError: A number is too large for that.
    """
    with np.errstate(over="ignore"):
        features = rows.astype(np.float32)
    if not np.isfinite(features).all():
        row = int(np.argwhere(~np.isfinite(features))[0][0])
        raise ObservationError(
            "The observation cannot be decided on.",
            [Fault("", f"observation {row} holds a number too large for the network (float32).")],
        )
    return features


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
        try:
            row.append(float(value))
        except OverflowError:  # an integer beyond float64; as_features refuses it
            row.append(np.inf)


def _load(path: Path) -> Callable[[Observation], object]:
    # A name of its own for each load: two versions may be loaded side by side.
    module = types.ModuleType(f"uploaded_preprocessor_{uuid.uuid4().hex}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        # Not through the import system: that would write bytecode beside the file.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise UploadRejected(f"The preprocessor does not load: {_last_line(error)}.") from error
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
        raise PreprocessorFailed("preprocess returned lists of unequal length") from error
    if array.dtype == object:  # integers beyond 64 bits arrive like this, and so does rubbish
        with contextlib.suppress(TypeError, ValueError, OverflowError):
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
    if isinstance(item, int | float | np.number):
        return float(item)
    raise TypeError(item)


def _last_line(error: BaseException) -> str:
    """`ZeroDivisionError: division by zero (preprocessor.py, line 3)`, of uploaded code."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({FILE}, line {error.lineno})"
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if FILE in frame.filename
    ]
    place = f" ({FILE}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
