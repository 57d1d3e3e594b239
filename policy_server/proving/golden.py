"""Golden cases: what training observed and what it gave for it, as a file that the build replays.

Those of one `episode` are its steps, in order. Two forms are read: JSON lines, with whole
observations, and NumPy's .npz, with feature vectors.
"""

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from policy_server.contract.encoding import MARK, not_utf8
from policy_server.contract.fields.field import shortened
from policy_server.errors import Fault, UploadRejected
from policy_server.policy.families.registry import output_names
from policy_server.proving.golden_episodes import EPISODE, Episode, with_steps
from policy_server.version.parts import ZIP

MAX_FAULTS = 20
QUANTITIES = (
    "features",
    "distribution_inputs",
    "probabilities",
    "means",
    "standard_deviations",
    "entropy",
    "actions",
    "meanings",
    "log_probability",
)
"""What may be recorded, in the order in which one follows from the other."""


@dataclass
class Recorded:
    """One quantity, as training gave it.

    Attributes:
        rows: The cases that state it.
        values: For each of these, as many numbers (or meanings) as the quantity has.
    """

    rows: list[int] = field(default_factory=list)
    values: list[list[Any]] = field(default_factory=list)


@dataclass(frozen=True)
class GoldenCases:
    """Recorded cases.

    Attributes:
        places: Where each stands in its file, in words.
        observations: Each as JSON; None where features were recorded instead.
        features: float32[N, F], what the network was asked; None where observations were recorded.
        recorded: By quantity, one of QUANTITIES.
        drawn: Actions whose log-probability was recorded.
        episodes: Which each is a step of, in order; None for those that are cases by themselves.
    """

    places: Sequence[str]
    observations: Sequence[bytes] | None
    features: NDArray[np.float32] | None
    recorded: Mapping[str, Recorded]
    drawn: NDArray[np.float64] | None = None
    episodes: Sequence[Episode] = ()


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    actions: list[int]
    probabilities: list[float]
    meanings: list[str] | None = None


class _Dimension(msgspec.Struct, forbid_unknown_fields=True):
    mean: float
    standard_deviation: float
    minimum: float | None = None
    maximum: float | None = None


class _Distribution(msgspec.Struct, forbid_unknown_fields=True):
    heads: list[_Head] = []
    dimensions: list[_Dimension] = []
    entropy: float | None = None


class _Case(msgspec.Struct, forbid_unknown_fields=True):
    """One line of JSON: an observation, and something that followed from it."""

    observation: msgspec.Raw
    episode: Episode = None
    features: list[float] | None = None
    distribution_inputs: list[float] | None = None
    probabilities: list[float | list[float]] | None = None
    distribution: _Distribution | None = None
    action: float | None = None
    actions: list[float] | None = None
    meaning: str | None = None
    meanings: list[str] | None = None

    def recorded(self) -> Iterator[tuple[str, list[Any]]]:
        """Each quantity that the case states."""
        if self.features is not None:
            yield "features", self.features
        if self.distribution_inputs is not None:
            yield "distribution_inputs", self.distribution_inputs
        if self.probabilities is not None:
            yield "probabilities", _flat(self.probabilities)
        if self.distribution is not None:
            yield from _of_distribution(self.distribution)
        if self.action is not None or self.actions is not None:
            yield "actions", [self.action] if self.actions is None else self.actions
        if self.meaning is not None or self.meanings is not None:
            yield "meanings", [self.meaning] if self.meanings is None else self.meanings


def read_golden(path: Path, limit_bytes: int) -> GoldenCases:
    """Read golden cases.

    Args:
        path: JSON lines or .npz; its beginning tells which.
        limit_bytes: What arrays may unpack to.

    Raises:
        UploadRejected: It is neither, holds no case, or a case states nothing; with every fault.
    """
    with path.open("rb") as file:
        packed = file.read(len(ZIP)) == ZIP
    return _read_arrays(path, limit_bytes) if packed else _read_lines(path)


def _read_lines(path: Path) -> GoldenCases:
    decode = msgspec.json.Decoder(_Case).decode
    recorded: dict[str, Recorded] = {}
    places: list[str] = []
    observations: list[bytes] = []
    episodes: list[Episode] = []
    faults: list[Fault] = []
    content = path.read_bytes().removeprefix(MARK)
    if (encoding := not_utf8(content)) is not None:
        raise UploadRejected(f"The golden cases cannot be read: {encoding}")
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            case = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            faults.append(Fault(f"line {number}", f"{error}."))
            continue
        stated = list(case.recorded())
        if not stated:
            remedy = "it states nothing: an action, a distribution or distribution inputs."
            faults.append(Fault(f"line {number}", remedy))
        for quantity, values in stated:
            of_all = recorded.setdefault(quantity, Recorded())
            of_all.rows.append(len(places))
            of_all.values.append(values)
        places.append(f"line {number}")
        observations.append(bytes(case.observation))
        episodes.append(case.episode)
    if faults or not places:
        summary = "The golden cases cannot be read" + (": there are none." if not faults else ".")
        raise UploadRejected(summary, faults[:MAX_FAULTS])
    return GoldenCases(
        with_steps(places, episodes), observations, None, recorded, episodes=episodes
    )


def _read_arrays(path: Path, limit_bytes: int) -> GoldenCases:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > limit_bytes:
            raise UploadRejected(f"The golden cases unpack to {unpacked} bytes: {limit_bytes} may.")
        with np.load(path, allow_pickle=False) as loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise UploadRejected(f"The golden cases are no sound .npz: {error}.") from error
    faults = list(_array_faults(arrays))
    if faults:
        raise UploadRejected("The golden cases cannot be read.", faults)
    count = len(arrays["observations"])
    recorded = {
        quantity: Recorded(list(range(count)), arrays[name].reshape(count, -1).tolist())
        for name, quantity in _quantities_of_arrays().items()
        if name in arrays
    }
    drawn, named = arrays.get("actions"), arrays.get(EPISODE)
    episodes: list[Episode] = [None] * count if named is None else named.tolist()
    return GoldenCases(
        with_steps([f"row {row}" for row in range(count)], episodes),
        None,
        arrays["observations"].astype(np.float32),
        recorded,
        None if drawn is None else drawn.reshape(count, -1).astype(np.float64),
        episodes,
    )


def _quantities_of_arrays() -> dict[str, str]:
    """What arrays of a .npz record, beside `observations` and the `actions` of `action_logp`."""
    outputs = (*output_names(), "output", "output_0", "distribution_inputs")
    return {
        **dict.fromkeys(outputs, "distribution_inputs"),
        "deterministic": "actions",
        "action_logp": "log_probability",
    }


def _array_faults(arrays: Mapping[str, NDArray[Any]]) -> Iterator[Fault]:
    """What is wrong with the arrays of a .npz, one by one."""
    observations = arrays.get("observations")
    if observations is None or observations.ndim != 2 or not len(observations):
        yield Fault("observations", "feature vectors are wanted, float32[N, F], one at least.")
        return
    quantities = _quantities_of_arrays()
    for name, array in arrays.items():
        if name == EPISODE:
            if array.dtype.kind not in "iuU" or array.shape != observations.shape[:1]:
                yield Fault(name, f"{len(observations)} names or whole numbers are wanted, a row.")
        elif name not in (*quantities, "observations", "actions"):
            known = ", ".join(("observations", *quantities, "actions", EPISODE))
            yield Fault(name, f"it is not known here; these are: {known}.")
        elif array.dtype.kind not in "biuf" or not array.ndim or len(array) != len(observations):
            rows = f"{len(observations)} rows of numbers, as many as `observations` has"
            yield Fault(name, f"{rows}, are wanted, not {array.dtype}{list(array.shape)}.")
    if ("actions" in arrays) != ("action_logp" in arrays):
        remedy = "`actions` that were drawn come with their log-probability, `action_logp`; the "
        yield Fault("actions", f"{remedy}most probable ones are called `deterministic`.")
    if not arrays.keys() & quantities.keys():
        yield Fault("", f"nothing was recorded: one of {', '.join(quantities)} is wanted.")


def _flat(probabilities: Sequence[float | list[float]]) -> list[float]:
    """Probabilities of one head after the other."""
    return [
        number for each in probabilities for number in (each if isinstance(each, list) else [each])
    ]


def _of_distribution(distribution: _Distribution) -> Iterator[tuple[str, list[Any]]]:
    if distribution.heads:
        heads = [
            dict(zip(head.actions, head.probabilities, strict=False)) for head in distribution.heads
        ]
        yield "probabilities", [head[action] for head in heads for action in sorted(head)]
    if distribution.dimensions:
        yield "means", [each.mean for each in distribution.dimensions]
        yield "standard_deviations", [each.standard_deviation for each in distribution.dimensions]
    if distribution.entropy is not None:
        yield "entropy", [distribution.entropy]


def shown_observation(text: bytes) -> list[Fault]:
    """The fields of an observation, each with the value that it had."""
    fields: dict[str, Any] = json.loads(text)
    return [
        Fault(f"/observation/{name}", f"it was {shortened(json.dumps(value, ensure_ascii=False))}.")
        for name, value in fields.items()
    ]
