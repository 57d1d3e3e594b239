"""What a policy with memory begins an episode with."""

from typing import Any

import numpy as np
import pytest

from policy_server.policy.memory import Memory

FEATURES = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (Memory(3), [[0, 0, 0]] * 3),
        (Memory(3, initial=(1.0, -2.5, 0.0)), [[1, -2.5, 0]] * 3),
        (Memory(4, frames=3), [[0, 0, 0, 0]] * 3),
        (Memory(4, frames=3, padding="first"), [[1, 2, 1, 2], [3, 4, 3, 4], [5, 6, 5, 6]]),
    ],
)
def test_an_episode_begins_with(memory: Memory, expected: list[list[float]]) -> None:
    state = memory.start(FEATURES)
    assert state.dtype == np.float32
    np.testing.assert_array_equal(state, np.array(expected, np.float32))


def test_no_episodes_begin_with_no_rows() -> None:
    assert Memory(3).start(FEATURES[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"width": 0}, "a memory of 0 numbers"),
        ({"width": 2, "frames": 1}, "a stack of 1 frames"),
        ({"width": 2, "frames": -2}, "a stack of -2 frames"),
        ({"width": 5, "frames": 3}, "does not hold 2 observations"),
        ({"width": 2, "padding": "first"}, "this memory has none"),
        ({"width": 4, "frames": 3, "initial": (0.0,) * 4}, "take no initial numbers"),
        ({"width": 2, "initial": (1.0,)}, "1 initial numbers are given for a memory of 2"),
        ({"width": 1, "initial": (float("nan"),)}, "not one of float32"),
        ({"width": 1, "initial": (1e39,)}, "not one of float32"),
    ],
)
def test_a_memory_that_cannot_be_is_refused(fields: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Memory(**fields)
