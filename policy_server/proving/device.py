"""Whether a network is better run on a device: measured, proven there, and written so."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Engine, Floats
from policy_server.policy.engines.on_device import NETWORK, OnDevice
from policy_server.policy.engines.recorded import Recorded
from policy_server.policy.engines.registry import CUDA, ENGINES, ONNXRUNTIME
from policy_server.policy.timing import BATCHES
from policy_server.proving.built_model import (
    PROOF_TOLERANCE,
    BuiltModel,
    compare,
    proof_features,
    recorded_rows,
)
from policy_server.proving.limits import CPU
from policy_server.proving.readers.reader import ModelUpload
from policy_server.proving.speed import run_seconds

Seconds = Callable[[Engine, Floats], float]
"""Says how long a run of an engine on some features takes."""


def on_faster(built: BuiltModel, upload: ModelUpload, seconds: Seconds = run_seconds) -> BuiltModel:
    """A model, on the device where that is faster and gives the same.

    Args:
        built: Of a model that was just uploaded.
        upload: Says whether there may be a device, and how it is asked.
        seconds: Measures.
    """
    described, wanted = built.description, upload.limits.device
    if described.engine != ONNXRUNTIME or wanted == CPU:
        return built
    width = built.engine.feature_width  # with a memory's numbers, if it has one
    features = proof_features(width if width > 0 else described.feature_width)
    alone = seconds(built.engine, features[:1])
    folder, file = upload.folder / ENGINES[CUDA].file, upload.folder / ENGINES[ONNXRUNTIME].file
    try:
        if alone < upload.limits.device_seconds:
            asking = _micro(upload.limits.device_seconds)
            raise EngineFailed(f"a row takes {_micro(alone)} here, and to ask a device {asking}")
        folder.mkdir()
        shutil.move(file, folder / NETWORK)  # a copy might be more than a build may write
        _move(built, folder, upload, features, seconds)
    except EngineFailed as error:
        if folder.exists():
            shutil.move(folder / NETWORK, file)
            shutil.rmtree(folder)
        if wanted == CUDA or isinstance(error, Unproven):
            _tell(built, f"the device does not: {error}")
    return built


class Unproven(EngineFailed):
    """There is a device, and it is slower, or gives something else."""


def rows_from(processor: Sequence[float], device: Sequence[float], share: float) -> int | None:
    """From how many rows on the device runs a network; None where the processor runs all of them.

    The least of BATCHES for which the device takes that share of the processor's time, or less, and
    for all that are larger.

    Args:
        processor: Seconds that it takes for each of BATCHES rows.
        device: Likewise.
        share: At most.
    """
    found = None
    for rows, here, there in reversed(list(zip(BATCHES, processor, device, strict=True))):
        if there > share * here:
            break
        found = rows
    return found


def _move(
    built: BuiltModel,
    folder: Path,
    upload: ModelUpload,
    features: Floats,
    seconds: Seconds,
) -> None:
    """Have the device run a model; raises EngineFailed where it does not, or not as well."""
    described = built.description
    upload.progress("having the device run the network")
    widths = features.shape[1], built.engine.run(features[:1]).shape[1]
    OnDevice(*widths).write(folder)
    engine = upload.engines.load(CUDA, described.output)
    difference = compare(engine, built.engine, features)
    if difference > PROOF_TOLERANCE:
        raise Unproven(
            f"its output differs from the processor's by {difference:.1e} ({PROOF_TOLERANCE:.0e} "
            "is allowed)"
        )
    here, there = (
        [seconds(each, features[:rows]) for rows in BATCHES] for each in (built.engine, engine)
    )
    both = ", ".join(
        f"{_micro(device)} there and {_micro(processor)} here for {rows}"
        for rows, processor, device in zip(BATCHES, here, there, strict=True)
    )
    least = rows_from(here, there, upload.limits.device_share)
    if least is None:
        raise Unproven(f"it is not faster for {BATCHES[-1]} rows: it takes {both}")
    OnDevice(*widths, least).write(folder)
    rows = recorded_rows(features)
    Recorded(rows, engine.run(rows)).write(folder)
    _tell(
        built,
        f"the device runs {'every batch' if least == 1 else f'batches of {least} rows or more'}: "
        f"it takes {both}; on {len(features)} random inputs its output agrees with the "
        f"processor's to {difference:.1e}",
    )
    built.engine = engine
    built.description = replace(built.description, engine=CUDA)


def _tell(built: BuiltModel, words: str) -> None:
    detail = f"{built.description.engine_detail}; {words}"
    built.description = replace(built.description, engine_detail=detail)


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} us"
