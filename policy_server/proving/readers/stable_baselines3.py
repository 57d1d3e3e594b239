"""Zips of Stable-Baselines3 with an MLP policy: their weights become a network of ONNX."""

from pathlib import Path, PurePosixPath

from policy_server.errors import UploadRejected
from policy_server.proving.archive import sound_zip
from policy_server.proving.converted import Converted, certain
from policy_server.proving.foreign.stable_baselines3 import advice, read_saved
from policy_server.proving.pickled_tensors import UnreadableWeights
from policy_server.proving.pytorch_weights import read_weights
from policy_server.proving.readers.reader import Converter, Marks, ModelUpload
from policy_server.proving.stable_baselines3_layers import Outcome, UnknownNetwork
from policy_server.proving.stable_baselines3_network import write_network
from policy_server.proving.stable_baselines3_settings import (
    Settings,
    UnreadableSettings,
    read_settings,
)

SETTINGS, WEIGHTS = "data", "policy.pth"
STATISTICS = (
    "statistics of VecNormalize are not in it, so if training used it, features are wanted as it "
    "normalised them"
)
BOUNDED = "its actions lie in [-1, 1], which training scaled to the bounds of its space"
CLIPPED = "training clipped its actions to the bounds of its space"


def recognises(marks: Marks) -> bool:
    """A zip has the two members without which there is no policy."""
    return {SETTINGS, WEIGHTS} <= {PurePosixPath(name).name for name in marks.members}


def _convert(upload: ModelUpload, folder: Path) -> Converted:
    """Make a network of the zip's weights."""
    upload.progress("reading the zip's weights")
    with sound_zip(upload.file, upload.limits) as opened:
        places = [path.parent for path in opened.members if path.name == WEIGHTS]
        if len(places) > 1:
            raise UploadRejected(f"The zip holds {len(places)} policies ({WEIGHTS}): upload one.")
        content = opened.read(places[0] / SETTINGS)
        weights = opened.read(places[0] / WEIGHTS)
    file = folder / "policy.onnx"
    try:
        settings = read_settings(content)
        outcome = write_network(read_weights(weights), settings, file)
    except (UnreadableSettings, UnreadableWeights, UnknownNetwork) as error:
        raise UploadRejected(
            f"The zip's network is not read: {error}. It is {advice(read_saved(content))}"
        ) from error
    description = certain(
        upload.description, outcome.output, outcome.reads, f"{settings.algorithm}"
    )
    return Converted(
        file,
        description,
        _words(settings, outcome),
        outcome.sizes,
        outcome.action_range,
        settings.actions.bounds,
    )


def _words(settings: Settings, outcome: Outcome) -> str:
    """What was read, and what has to be known of it."""
    layers = " -> ".join(map(str, outcome.widths))
    said = [
        f"a Stable-Baselines3 zip of {settings.algorithm}: a network {layers} "
        f"({settings.activation}) of its weights"
    ]
    if settings.observations.type not in ("Box", ""):
        said.append(f"it takes observations of {settings.observations.type} one-hot")
    if outcome.action_range is not None:
        said.append(f"{BOUNDED}{_bounds(settings)}")
    elif outcome.sizes is None:
        said.append(f"{CLIPPED}{_bounds(settings)}")
    if settings.algorithm == "MaskablePPO":
        said.append("its masks are declared in the schema (`mask_of`)")
    return "; ".join([*said, STATISTICS])


def _bounds(settings: Settings) -> str:
    bounds = settings.actions.bounds or ()
    words = ", ".join(f"{low:g} to {high:g}" for low, high in bounds)
    return f": {words}" if words else ""


STABLE_BASELINES3 = Converter(recognises, _convert)
