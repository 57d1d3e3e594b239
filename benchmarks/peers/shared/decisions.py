# mypy: ignore-errors
# Pydantic is installed in the environments of peers, not where types are checked.
"""What every peer does: validate an observation, run the network, draw an action exactly.

Only how a request gets here and how the answer leaves differs between peers.
"""

import json
import math
import os
import random
import runpy
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

Pair = Annotated[list[int], Field(min_length=2, max_length=2)]
FOLDER = Path(os.environ["POLICY_FOLDER"])


class Observation(BaseModel):
    """The lpoc observation, as strict as the schema is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[int, Field(ge=0, le=10)]
    coordinates: Pair
    target: Pair
    has_core: bool
    has_up_neighbour: bool
    has_right_neighbour: bool
    has_down_neighbour: bool
    has_left_neighbour: bool
    is_up_free: bool = False
    is_right_free: bool = False
    is_down_free: bool = False
    is_left_free: bool = False


class Decision(BaseModel):
    """What a client gets."""

    action: int
    meaning: str
    probability: float


class Actions:
    """Features of observations, and actions from logits."""

    def __init__(self) -> None:
        self._meanings = json.loads((FOLDER / "meanings.json").read_text(encoding="utf-8"))
        self._preprocess = runpy.run_path(str(FOLDER / "preprocessor.py"))["preprocess"]

    def features(self, observation: Observation) -> np.ndarray:
        """Return float32[1, F]; fields that were not sent are not handed on."""
        fields = observation.model_dump(exclude_unset=True)
        return np.array([self._preprocess(fields)], dtype=np.float32)

    def draw(self, logits: list[float]) -> Decision:
        """Draw from the softmax of the logits of one observation."""
        most = max(logits)
        weights = [math.exp(logit - most) for logit in logits]
        action = random.choices(range(len(weights)), weights)[0]
        return Decision(
            action=action,
            meaning=self._meanings[action],
            probability=weights[action] / sum(weights),
        )


class OnnxPolicy:
    """The reduced network in ONNX Runtime, on one thread: more only wait for each other."""

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(FOLDER / "network.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._actions = Actions()

    def decide(self, observation: Observation) -> Decision:
        """Draw an action for one observation."""
        features = self._actions.features(observation)
        logits = self._session.run(None, {self._input: features})[0][0]
        return self._actions.draw(logits.tolist())
