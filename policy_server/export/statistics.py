"""Statistics of observations that training kept beside its network."""

from pathlib import Path
from typing import Any

import numpy as np

from policy_server.export.spaces import ExportRefused
from policy_server.export.trained import Normalise

NAMES = ("mean", "variance", "var", "std", "epsilon", "clip")


def statistics_of(given: Any) -> Normalise | None:
    """How features are normalised.

    Args:
        given: `Normalise`; Gymnasium's wrapper NormalizeObservation; a .npz file with `mean`, and
            `variance` (or `var`) or `std`, and if wanted `epsilon` and `clip`; None for nothing.
    """
    if given is None or isinstance(given, Normalise):
        return given
    if hasattr(given, "obs_rms"):
        kept = given.obs_rms
        return Normalise(kept.mean, variance=kept.var, epsilon=float(given.epsilon))
    with np.load(Path(given), allow_pickle=False) as file:
        arrays = {name: np.asarray(file[name], np.float64) for name in file}
    spread = arrays.get("variance", arrays.get("var"))
    if "mean" not in arrays or (spread is None) == ("std" not in arrays) or set(arrays) - {*NAMES}:
        raise ExportRefused(
            f"{given} holds {', '.join(arrays)}: `mean` is wanted and one of `variance` and `std`, "
            "and if training had them, `epsilon` and `clip`."
        )
    clip = float(arrays["clip"]) if "clip" in arrays else None
    epsilon = float(arrays.get("epsilon", 0.0))
    return Normalise(arrays["mean"], spread, arrays.get("std"), epsilon, clip)


def normalised(features: Any, normalise: Normalise | None) -> Any:
    """Features as the network takes them, float32[F]."""
    if normalise is None:
        return np.asarray(features, np.float32)
    less = np.asarray(features, np.float64) - np.ravel(normalise.mean)
    if normalise.variance is not None:
        done = less / np.sqrt(np.ravel(normalise.variance) + normalise.epsilon)
    else:
        assert normalise.std is not None
        done = less / (np.ravel(normalise.std) + normalise.epsilon)
    limit = np.inf if normalise.clip is None else normalise.clip
    return np.clip(done, -limit, limit).astype(np.float32)
