"""The policy as a model of an inference server: tensors of observations to tensors of actions."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from policy_server.contract.operations import OPERATIONS
from policy_server.contract.tensors import (
    FEATURES,
    REAL,
    SUMMARY,
    TAKEN,
    TEXT,
    ObservationTensors,
    Tensor,
    TensorKind,
    row_faults,
)
from policy_server.errors import Fault, ObservationError
from policy_server.policy.answers import INPUTS, Answer, Query
from policy_server.policy.features import Features, place_of
from policy_server.policy.policy import Policy
from policy_server.serving.data_plane import DataPlane
from policy_server.serving.decisions import DecisionRequest, Named, Route
from policy_server.serving.loading import LiveVersion
from policy_server.serving.stages import Stages, now

DECIDES = OPERATIONS["predict_batch"]
"""The operation that does the same; its role is asked for."""
VALUES = "values."
"""What the names of outputs begin with that hold a declared action."""
LOWEST = np.finfo(np.float32).min
"""Stands for minus infinity, which JSON has not: a mask's word for an action that is forbidden."""
MOST_CHARACTERS = 100
"""Of a name that a client has made up, in an answer."""
LONG_NUMBERS = 16_384
"""Larger inputs are read away from the event loop."""


@dataclass(frozen=True)
class InferenceRequest:
    """What a client wants of the model.

    Attributes:
        inputs: A tensor for each field, or one of features.
        outputs: Names of those that are wanted; none means all.
        seed: Makes draws repeatable.
        deterministic: The most probable actions are wanted instead of a draw.
        version: The version that must decide; None takes any.
        seconds: After which the decision is of no use; None is never.
    """

    inputs: Sequence[Tensor]
    outputs: Sequence[str] = ()
    seed: int | None = None
    deterministic: bool = False
    version: bytes | None = None
    seconds: float | None = None


class InferenceModel:
    """Answers for the live policy under one contract.

    Args:
        plane: Decides.
        reading: Reads long inputs.
    """

    def __init__(self, plane: DataPlane, reading: Executor) -> None:
        self._plane = plane
        self._reading = reading
        contract = plane.contract
        self._actions = contract.actions
        self._tensors = ObservationTensors(contract.schema, contract.decoder)

    def inputs(self, live: LiveVersion) -> tuple[TensorKind, ...]:
        """What it takes; without observations the network's own input vectors."""
        width = live.policy.network.feature_width
        return self._tensors.kinds or (TensorKind(FEATURES, "FP32", (-1, width)),)

    def outputs(self, live: LiveVersion) -> tuple[TensorKind, ...]:
        """What it gives."""
        family = live.policy.network.distribution
        rows = (-1, family.dimensions)
        kinds = [TensorKind("action", "INT64" if all(family.action_sizes) else "FP64", rows)]
        if self._actions.have_meanings:
            kinds.append(TensorKind("meaning", TEXT, rows))
        if not family.is_output:
            kinds.append(TensorKind(family.likelihood, "FP64", (-1, 1)))
        kinds.append(TensorKind(INPUTS, "FP32", (-1, family.input_width)))
        declared = self._actions.declared
        for name, field in {} if declared is None else declared.fields.items():
            datatype = TAKEN[field.leaf.json_type][0]
            kinds.append(TensorKind(f"{VALUES}{name}", datatype, (-1, *(field.axes or (1,)))))
        return tuple(kinds)

    async def infer(
        self, request: InferenceRequest, stages: Stages | None = None
    ) -> tuple[list[Tensor], Named]:
        """Decide on each row.

        Args:
            request: What is wanted.
            stages: Filled in on the way.

        Returns:
            The outputs in the order in which they are wanted, and what decided.

        Raises:
            ObservationError: The inputs are none, or an output that is wanted is none.
            PolicyServerError: What deciding raises.
        """
        route, decoded = await self._read(request.inputs)
        live = self._plane.current()  # only now: reading may have taken a while
        kinds = {each.name: each for each in self.outputs(live)}
        wanted = list(request.outputs or kinds)
        _check_wanted(wanted, kinds)
        query: Query = "mode" if request.deterministic else "draw"
        if INPUTS in wanted:
            query = "mode_and_inputs" if request.deterministic else "draw_and_inputs"
        asked = DecisionRequest(route, query, request.seed, request.version, request.seconds)
        if stages is not None:
            stages.decoded = now()
        pending = self._plane.decide(asked, decoded, live, stages)
        await pending.done
        answers, version = pending.answer()
        return [_output(kinds[name], answers) for name in wanted], version

    async def _read(self, inputs: Sequence[Tensor]) -> tuple[Route, Any]:
        read = self._vectors if self._is_features(inputs) else self._records
        if sum(each.values.size for each in inputs) <= LONG_NUMBERS:
            return read(inputs)
        return await asyncio.get_running_loop().run_in_executor(self._reading, read, inputs)

    def _is_features(self, inputs: Sequence[Tensor]) -> bool:
        return not self._tensors.kinds or self._tensors.is_features(inputs)

    def _records(self, inputs: Sequence[Tensor]) -> tuple[Route, Any]:
        return _route(), self._tensors.records(inputs)

    @staticmethod
    def _vectors(inputs: Sequence[Tensor]) -> tuple[Route, Any]:
        names = [each.name for each in inputs]
        if names != [FEATURES]:
            detail = f"one tensor `{FEATURES}` is wanted, not {', '.join(names) or 'none'}."
            raise ObservationError(SUMMARY, [Fault("/inputs", detail)])
        (tensor,) = inputs
        if tensor.datatype not in REAL or tensor.values.ndim != 2:
            detail = f"`{FEATURES}` is FP32 of the shape [rows, features]."
            raise ObservationError(SUMMARY, [Fault("/inputs", detail)])
        faults = row_faults(len(tensor.values))
        if not np.isfinite(tensor.values).all():
            faults.append(Fault("/inputs", f"`{FEATURES}` holds numbers that are not finite."))
        if faults:
            raise ObservationError(SUMMARY, faults)
        return _route(_feature_rows), tensor.values.astype(np.float64)


def _check_wanted(wanted: Sequence[str], kinds: Collection[str]) -> None:
    """Raise ObservationError unless each that is wanted is an output, and is wanted once."""
    strange = next((name for name in wanted if name not in kinds), None)
    if strange is None and len(set(wanted)) == len(wanted):
        return
    known = ", ".join(f"`{name}`" for name in kinds)
    said = "An output is wanted twice."
    if strange is not None:
        said = f"`{strange[:MOST_CHARACTERS]}` is no output."
    raise ObservationError(said, [Fault("/outputs", f"there are {known}.")])


def _feature_rows(policy: Policy, numbers: Any) -> Features:
    return policy.feature_rows(numbers, place_of)


def _route(features: Callable[[Policy, Any], Features] | None = None) -> Route:
    """A route on which nothing is left to decode, and every answer is given."""
    return Route(DECIDES, _nothing, "draw", list, features)


def _nothing(body: bytes) -> Sequence[Any]:
    return ()


def _output(kind: TensorKind, answers: Sequence[Answer]) -> Tensor:
    """An output, of the answers to all rows."""
    if kind.name == INPUTS:
        rows = np.stack([each[INPUTS] for each in answers])
        return Tensor(kind.name, kind.datatype, rows.clip(LOWEST, -LOWEST))
    if kind.name.startswith(VALUES):
        name = kind.name.removeprefix(VALUES)
        found = [each["values"][name] for each in answers]
    else:
        plural = f"{kind.name}s"
        found = [each[plural] if plural in each else each[kind.name] for each in answers]
    dtype = {"INT64": np.int64, "FP64": np.float64, "BOOL": np.bool_, TEXT: object}[kind.datatype]
    shape = [len(answers), *kind.shape[1:]]
    return Tensor(kind.name, kind.datatype, np.array(found, dtype).reshape(shape))
