"""How far numbers lie apart, where masks of actions are among them."""

import numpy as np

from policy_server.policy.families.family import MASKED, Array


def relative_differences(expected: Array, found: Array) -> Array:
    """How far numbers lie apart, relative where what is expected exceeds 1; 0 for two masks."""
    with np.errstate(invalid="ignore"):
        differences = np.abs(found - expected) / np.maximum(1.0, np.abs(expected))
    same = (expected == found) | ((expected < MASKED) & (found < MASKED))
    return np.where(same, 0.0, np.where(np.isnan(differences), np.inf, differences))
