"""Decodes steps of episodes: an observation each, and the memory of the step before."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from policy_server.contract.decoding import LONG_BYTES, Decoder
from policy_server.contract.operations import MAX_BATCH_ITEMS
from policy_server.contract.records import Record, json_decoder

AT = " - at `$"


class Step(NamedTuple):
    """A step of an episode.

    Attributes:
        record: The observation, decoded.
        memory: Of the step before; None begins an episode.
    """

    record: Record
    memory: str | None


class StepDecoder:
    """Decodes `{"observation": ..., "memory": "..."}`, and `{"steps": [...]}` of these.

    What is long is mostly memory, a text, which is read at once; long observations are cut out of
    it, and read in pieces.

    Args:
        decoder: Of the observations.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        whole, cut = _step_type(decoder.record_type), _step_type(msgspec.Raw)
        self._step, self._cut_step = json_decoder(whole), json_decoder(cut)
        self._batch, self._cut_batch = (json_decoder(_batch_type(kind)) for kind in (whole, cut))

    def decode(self, body: bytes) -> tuple[Step]:
        """Decode one step; raises like Decoder.decode."""
        if len(body) > LONG_BYTES:
            return (self._rejoined(self._cut_step(body), ""),)
        step = self._step(body)
        return (Step(step.observation, step.memory),)

    def decode_batch(self, body: bytes) -> Sequence[Step]:
        """Decode steps; raises like Decoder.decode."""
        if len(body) > LONG_BYTES:
            return list(self._all_rejoined(self._cut_batch(body).steps))
        return [Step(step.observation, step.memory) for step in self._batch(body).steps]

    def without_memories(self, body: bytes, *, batch: bool) -> bytes:
        """The same body with no memory in it, so that the rest can be looked at.

        Args:
            body: One step, or many.
            batch: Which of these.

        Raises:
            msgspec.MsgspecError: It does not consist of such steps.
        """
        steps = self._cut_batch(body).steps if batch else [self._cut_step(body)]
        kept = [{"observation": step.observation} for step in steps]
        return msgspec.json.encode({"steps": kept} if batch else kept[0])

    def _all_rejoined(self, steps: Sequence[Any]) -> Iterator[Step]:
        for index, step in enumerate(steps):
            yield self._rejoined(step, f".steps[{index}]")

    def _rejoined(self, step: Any, place: str) -> Step:
        """A step of which the observation was cut out.

        Args:
            step: Has the observation as it was spelled.
            place: Of the step in the body, as the decoder writes it.
        """
        try:
            return Step(self._decoder.decode(bytes(step.observation)), step.memory)
        except msgspec.ValidationError as error:
            text, _, within = str(error).rpartition(AT)
            told = (
                f"{text}{AT}{place}.observation{within}"
                if text
                else f"{error}{AT}{place}.observation`"
            )
            raise msgspec.ValidationError(told) from error


def _step_type(observation: Any) -> Any:
    fields: list[Any] = [("observation", observation), ("memory", str | None, None)]
    return msgspec.defstruct("Step", fields, forbid_unknown_fields=True)


def _batch_type(step: Any) -> Any:
    steps = Annotated[list[step], Meta(max_length=MAX_BATCH_ITEMS)]
    return msgspec.defstruct("StepBatch", [("steps", steps)], forbid_unknown_fields=True)
