"""Does what a SavedModel puts out depend on more than observations and memory?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.engines.engine import Floats
from policy_server.policy.saved_model import STEP_TYPE, SavedModel, UnusableModel
from policy_server.policy.saved_model_feeds import others

CONSTANT_INPUTS = ("is_training", "seq_lens", "timestep")
"""Inputs that do not describe the situation; they have one right value when serving."""


def check_stateless(model: SavedModel, rows: Floats) -> None:
    """Raise UnusableModel if the output depends on more than observations and memory.

    It must be the same when run again, and when each further input has another value.

    Args:
        model: Whose output is served.
        rows: float32[B, F + S], some finite ones.
    """
    feeds = model.feeds([model.output_tensor], rows)
    expected = model.fetch([model.output_tensor], feeds)[0]

    def moves(inputs: Mapping[str, NDArray[Any]]) -> bool:
        output = model.fetch([model.output_tensor], inputs)[0]
        return not np.array_equal(output, expected, equal_nan=True)

    if moves(feeds):
        raise UnusableModel(
            "its distribution inputs differ from run to run: export it without noise in its "
            "parameters and without dropout."
        )
    carried = {state.input for state in model.carried.states}
    constants = (*CONSTANT_INPUTS, STEP_TYPE) if carried else CONSTANT_INPUTS
    for name in sorted(feeds.keys() - carried - {model.observation_tensor}):
        if any(constant in model.called(name) for constant in constants):
            continue
        if any(moves({**feeds, name: other}) for other in others(feeds[name])):
            raise UnusableModel(
                f"its decisions depend on `{name}`, which one observation does not tell. If it is "
                "a state, and an output gives the next one, say so in model.yaml: "
                f"`memory: [{{input: {listed_name(model, name)}, output: ...}}]`."
            )


def listed_name(model: SavedModel, tensor_name: str) -> str:
    """What the signature calls an input; the tensor's own name where it does not list it."""
    names = [name for name, tensor in model.inputs.items() if tensor == tensor_name]
    return next(iter(names), tensor_name)
