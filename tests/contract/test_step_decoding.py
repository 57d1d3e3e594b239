"""Steps are decoded alike whether they are short or long, and their faults have their place."""

import json
from typing import Any

import msgspec
import pytest

from policy_server.contract.decoding import LONG_BYTES, REFUSED, Decoder
from policy_server.contract.operations import MAX_BATCH_ITEMS
from policy_server.contract.reading import read_schema
from policy_server.contract.step_decoding import StepDecoder
from policy_server.web.faults import fault_of

SCHEMA = read_schema(
    """observations:
  speed: {type: float, maximum: 9}
  rays: {type: "List[float]", max_items: 50000}
"""
)
DECODER = StepDecoder(Decoder(SCHEMA))
OBSERVATION = {"speed": 1.5, "rays": [1, 2.5]}
SHORT, LONG = "m" * 10, "m" * (LONG_BYTES + 10)
memories = pytest.mark.parametrize("memory", [SHORT, LONG], ids=["short", "long"])


def step(memory: object, **changed: object) -> dict[str, Any]:
    return {"observation": {**OBSERVATION, **changed}, "memory": memory}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def fault(value: object, *, batch: bool = False) -> tuple[str, str]:
    """Where and what the decoder finds wrong."""
    body = value if isinstance(value, bytes) else encoded(value)
    with pytest.raises(REFUSED) as caught:
        DECODER.decode_batch(body) if batch else DECODER.decode(body)
    found = fault_of(caught.value)
    return found.place, found.detail


@memories
def test_a_step_has_an_observation_and_a_memory(memory: str) -> None:
    (found,) = DECODER.decode(encoded(step(memory)))
    assert msgspec.to_builtins(found.record) == OBSERVATION
    assert found.memory == memory
    assert list(DECODER.decode_batch(encoded({"steps": [step(memory)] * 2}))) == [found] * 2


@pytest.mark.parametrize("rays", [[1.0], [0.25] * 30_000], ids=["short", "long"])
def test_without_a_memory_an_episode_begins(rays: list[float]) -> None:
    observation = {**OBSERVATION, "rays": rays}
    for body in ({"observation": observation}, {"observation": observation, "memory": None}):
        (found,) = DECODER.decode(encoded(body))
        assert found.memory is None
        assert msgspec.to_builtins(found.record) == observation


@memories
def test_what_is_wrong_with_a_step_has_its_place(memory: str) -> None:
    assert fault(step(memory, speed=10))[0] == "/observation/speed"
    assert fault({**step(memory), "other": 1}) == ("/other", "is not a field of the schema.")
    assert fault({"memory": memory}) == ("/observation", "is missing.")
    without = {"observation": {"speed": 1}, "memory": memory}
    assert fault(without) == ("/observation/rays", "is missing.")
    assert fault(step(memory, colour=1))[0] == "/observation/colour"
    assert fault(step([memory])) == ("/memory", "must be a string, not a list.")
    assert fault(encoded(step(memory))[:-1])[0] == ""


@memories
def test_what_is_wrong_with_a_batch_has_its_place(memory: str) -> None:
    def found(*steps: object) -> tuple[str, str]:
        return fault({"steps": [step(memory), *steps]}, batch=True)

    assert found(step(memory, rays=[1, "2"]))[0] == "/steps/1/observation/rays/1"
    assert found(step(memory), {"observation": {"speed": 1}})[0] == "/steps/2/observation/rays"
    assert found({"memory": memory}) == ("/steps/1/observation", "is missing.")
    assert found(step(3))[0] == "/steps/1/memory"
    assert found(step(memory, rays=[0.5] * 50_001))[0] == "/steps/1/observation/rays"


def test_a_batch_has_no_more_steps_than_may_be() -> None:
    steps = [{"observation": OBSERVATION}] * MAX_BATCH_ITEMS
    assert len(DECODER.decode_batch(encoded({"steps": steps}))) == MAX_BATCH_ITEMS
    place, detail = fault({"steps": [*steps, steps[0]]}, batch=True)
    assert (place, detail) == ("/steps", f"must have {MAX_BATCH_ITEMS} items or fewer.")
