"""From observations to features: by the schema itself, or by uploaded code."""

import sys
import traceback
import types
import uuid
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from policy_server.contract.decoding import compile_features
from policy_server.contract.encoding import not_utf8
from policy_server.contract.records import Record
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.errors import PreprocessorFailed, UploadRejected
from policy_server.policy.features import Outcome, narrowed, numbers_of, plain_rows
from policy_server.policy.packing import compile_packing

FILE = "preprocessor.py"
MAX_MESSAGE_CHARACTERS = 500


class Preprocessor(Protocol):
    """Makes the network's input vectors."""

    def features(self, records: Sequence[Record]) -> Outcome:
        """Turn B records into float32[B, F], each by itself."""


class SchemaPreprocessor:
    """The fields in the schema's order: arrays flattened, booleans 0 and 1, enum strings one-hot.

    An optional field that is absent counts as 0 throughout.

    Raises:
        UploadRejected: A field has no fixed width, so a preprocessor is needed.
    """

    def __init__(self, schema: ObservationSchema) -> None:
        fields = schema.featured
        varying = [name for name, field in fields.items() if field.feature_width is None]
        if varying:
            raise UploadRejected(
                f"The arrays {', '.join(varying)} have no fixed size, so a network cannot take "
                "them as they are: upload a preprocessor."
            )
        self._width = sum(field.feature_width or 0 for field in fields.values())
        self._flatten = compile_features(schema)
        self._pack = compile_packing(schema, fields.items(), "f")

    def features(self, records: Sequence[Record]) -> Outcome:
        try:
            packed = b"".join(map(self._pack, records))
        except OverflowError:  # a number beyond float32: which rows it is, is seldom asked
            rows = np.array([self._flatten(record) for record in records], dtype=np.float64)
            return narrowed(rows.reshape(len(records), self._width))
        return Outcome(np.frombuffer(packed, "<f4").reshape(len(records), self._width))


class GivenFeatures:
    """Clients send the features themselves: the schema has no observations."""

    def features(self, records: Sequence[Any]) -> Outcome:
        return narrowed(np.array([record.f0 for record in records], dtype=np.float64))


class UploadedPreprocessor:
    """Code that came with the model: `preprocess(observation) -> numbers`.

    It may define `preprocess_batch(observations) -> rows of numbers` as well, which is then asked
    first; where that fails, each observation is asked for by itself.

    Args:
        path: The Python file. Loading it runs it.
        to_observation: Makes what the code gets of a record, and may change.
        width: How many numbers the network takes; None while nobody knows.
        together: Ask `preprocess_batch` first, where it is defined.

    Raises:
        UploadRejected: The file does not load, or has no `preprocess`.
    """

    def __init__(
        self,
        path: Path,
        to_observation: Callable[[Any], Observation],
        width: int | None = None,
        *,
        together: bool = True,
    ) -> None:
        # A name of its own for each load: two versions may be loaded side by side.
        module = types.ModuleType(f"uploaded_preprocessor_{uuid.uuid4().hex}")
        module.__file__ = self._file = str(path)
        weakref.finalize(self, sys.modules.pop, module.__name__, None)
        self._preprocess = _load(path, module)
        self._preprocess_batch = getattr(module, "preprocess_batch", None) if together else None
        self._to_observation = to_observation
        self._width = width

    @property
    def batches(self) -> bool:
        """Whether it is asked for several observations in one call."""
        return callable(self._preprocess_batch)

    def features(self, records: Sequence[Any]) -> Outcome:
        observations = [self._to_observation(record) for record in records]
        together = self._together(observations)
        if together is not None and self._width in (None, together.shape[1]):
            return narrowed(together)
        failures: dict[int, str] = {}
        returned = [
            self._attempt(self._preprocess, each, row, failures)
            for row, each in enumerate(observations)
        ]
        plain = None if failures else plain_rows(returned, self._width)
        return Outcome(plain) if plain is not None else self._checked(returned, failures)

    def _attempt(
        self, call: Callable[[Any], Any], argument: Any, row: int, failures: dict[int, str]
    ) -> Any:
        """What a call returns that may run uploaded code; None where it fails, which is noted."""
        try:
            return call(argument)
        except KeyboardInterrupt:
            raise
        except PreprocessorFailed as error:
            failures[row] = error.cause
        except BaseException as error:  # uploaded code may raise anything, and exit
            failures[row] = _last_line(error, self._file)
        return None

    def _checked(self, returned: Sequence[Any], failures: dict[int, str]) -> Outcome:
        """Features of all that was returned, row by row; what is wrong with one is its failure."""
        rows: list[NDArray[np.float64] | None] = [
            None if row in failures else self._attempt(numbers_of, value, row, failures)
            for row, value in enumerate(returned)
        ]
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


def _copy(value: Any) -> Any:
    """A copy of an observation, of the lists in it too."""
    if isinstance(value, dict):
        return {name: _copy(item) for name, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _load(path: Path, module: types.ModuleType) -> Callable[[Observation], object]:
    content = path.read_bytes()
    sys.modules[module.__name__] = module  # dataclasses look for their module there
    try:
        # Not through the import system: that would write bytecode beside the file.
        exec(compile(content, str(path), "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # uploaded code may raise anything, and exit
        encoding = not_utf8(content) if isinstance(error, SyntaxError) else None
        cause = _last_line(error, str(path))
        more = "." if encoding is None else f"; {encoding}"
        raise UploadRejected(f"The preprocessor does not load: {cause}{more}") from error
    preprocess = getattr(module, "preprocess", None)
    if not callable(preprocess):
        raise UploadRejected(
            "The preprocessor has no function `preprocess(observation)` that returns the features, "
            "nor does it begin with `features:` or `normalise:`, as one that declares them."
        )
    return preprocess  # type: ignore[no-any-return]  # what it returns is checked at each call


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
