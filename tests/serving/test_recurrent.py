"""A recurrent policy from upload to steps: proven, replayed, verified, stepped, stacked."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from examples.quiet_tensorflow import tf
from policy_server.contract.contract import Contract
from policy_server.errors import UploadRejected
from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.publication import Publisher
from policy_server.serving.versions import Versions
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from tests.support.contracts import contract_of, kept_contracts
from tests.support.episodes import Stepper, stepping
from tests.support.recurrent import (
    EPISODE,
    GATES,
    HEAD,
    HIDDEN,
    OTHER,
    LongShort,
    gru_steps,
    lstm_steps,
)
from tests.support.saved_models import Input, save

CONTRACT = contract_of(3)
Steps = Callable[[NDArray[Any]], NDArray[np.float64]]


def golden(steps: Steps, *, names: tuple[Any, Any] = ("a", 7)) -> bytes:
    """Two episodes, whose steps take turns."""
    lines = []
    for row, other, *logits in zip(EPISODE, OTHER, steps(EPISODE), steps(OTHER), strict=True):
        for name, seen, inputs in zip(names, (row, other), logits, strict=True):
            case = {"observation": {"x": seen.tolist()}, "action": int(np.argmax(inputs))}
            stated = {"distribution_inputs": inputs.tolist()}
            lines.append(case | stated | ({} if name is None else {"episode": name}))
    return "\n".join(map(json.dumps, lines)).encode()


class Desk:
    """Publishes to a store of its own."""

    def __init__(self, base: Path, contract: Contract = CONTRACT) -> None:
        self.store = open_store(base)
        contracts = kept_contracts(contract, base)
        self.publisher = Publisher(self.store, contracts, BuildLimits())
        self.versions = Versions(self.store, contracts, BuildLimits())

    def publish(self, **parts: bytes) -> str:
        files = {Part(name): io.BytesIO(content) for name, content in parts.items()}
        return self.publisher.publish(Bundle(files)).version


async def check_steps(stepper: Stepper, steps: Steps) -> None:
    """Two episodes, one step of each in one request, give what the formulas give."""
    memories: list[str | None] = [None, None]
    for *rows, one, other in zip(EPISODE, OTHER, steps(EPISODE), steps(OTHER), strict=True):
        asked = [({"x": row.tolist()}, each) for row, each in zip(rows, memories, strict=True)]
        found = await stepper.steps(asked, deterministic=True)
        memories = [memory for _, memory in found]
        for (answer, _), logits in zip(found, (one, other), strict=True):
            assert answer["action"] == np.argmax(logits)
            assert answer["probability"] == pytest.approx(special.softmax(logits).max(), abs=1e-5)


def test_an_lstm_is_proven_verified_and_stepped(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    version = desk.publish(model=LongShort().content(), golden=golden(lstm_steps))
    report = desk.versions.verify(version)
    (check,) = report.checks
    assert check.passed, check
    assert check.detail.startswith("24 golden cases agree: distribution inputs to")
    # The model is not uploaded again, and its golden episodes are replayed nevertheless.
    mapped = desk.publisher.upload({Part.OUTPUT_MAPPER: io.BytesIO(b"{0: stay, 1: go}")}).version
    assert mapped != version
    stepping(desk.store, CONTRACT, lambda stepper: check_steps(stepper, lstm_steps))


def gru_model(path: Path) -> bytes:
    """A GRU with an operation that ONNX does not have."""

    def act(x: Any, head: Any, state_in_0: Any) -> dict[str, Any]:
        update, reset, new = GATES
        h = state_in_0
        z, r = (tf.sigmoid(tf.concat([x, h], 1) @ gate) for gate in (update, reset))
        h = (1 - z) * tf.tanh(tf.concat([x, r * h], 1) @ new) + z * h
        return {"logits": (h + 0.0 * tf.math.bessel_i0e(h)) @ head, "state_out_0": h}

    return save(path, act, [HEAD], inputs=(Input("state_in_0", shape=(None, HIDDEN)),)).read_bytes()


def test_a_gru_that_tensorflow_runs_is_stepped(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "base")
    desk.publish(model=gru_model(tmp_path / "model"), golden=golden(gru_steps))
    stepping(desk.store, CONTRACT, lambda stepper: check_steps(stepper, gru_steps))


def test_masks_hold_in_each_step(tmp_path: Path) -> None:
    contract = contract_of(
        3,
        actions="{go: {type: bool}}",
        more='may: {type: "List[bool]", min_items: 2, max_items: 2, mask_of: go}',
    )
    desk = Desk(tmp_path, contract)
    desk.publish(model=LongShort().content())

    async def check(stepper: Stepper) -> None:
        memory = None
        for row, logits in zip(EPISODE, lstm_steps(EPISODE), strict=True):
            only = int(np.argmin(logits))
            seen: Any = {"x": row.tolist(), "may": [only == 0, only == 1]}
            answer, memory = await stepper.step(seen, memory, deterministic=True)
            assert answer["values"] == {"go": bool(only)}
            assert answer["probability"] == 1

    stepping(desk.store, contract, check)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((None, None), "The golden cases are single ones. What a policy with memory decides"),
        (("a", None), "Some golden cases are single ones."),
        (("a", "a"), "of 24 golden cases disagree with what was recorded"),
    ],
)
def test_golden_cases_that_are_no_episodes_are_refused(
    tmp_path: Path, names: Any, told: str
) -> None:
    desk = Desk(tmp_path)
    with pytest.raises(UploadRejected, match=told):
        desk.publish(model=LongShort().content(), golden=golden(lstm_steps, names=names))


def test_a_wrong_step_is_told_by_its_episode(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    lines = golden(lstm_steps, names=("left", "right")).splitlines()
    case = json.loads(lines[13])
    lines[13] = json.dumps({**case, "distribution_inputs": [0.0, 9.0]}).encode()
    with pytest.raises(UploadRejected) as caught:
        desk.publish(model=LongShort().content(), golden=b"\n".join(lines))
    assert "The first step that differs is line 14 (episode right, step 6)" in str(caught.value)


def arrays(**more: Any) -> bytes:
    packed = io.BytesIO()
    logits = np.concatenate([lstm_steps(EPISODE), lstm_steps(OTHER)])
    seen = np.concatenate([EPISODE, OTHER])
    np.savez(packed, observations=seen, logits=logits.astype(np.float32), **more)
    return packed.getvalue()


@pytest.mark.parametrize("episode", [np.repeat([3, 4], 12), np.repeat(["a", "b"], 12)])
def test_arrays_of_features_may_be_those_of_episodes(tmp_path: Path, episode: Any) -> None:
    version = Desk(tmp_path).publish(model=LongShort().content(), golden=arrays(episode=episode))
    assert version


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "The golden cases are single ones"),
        ({"episode": np.zeros(24)}, "24 names or whole numbers are wanted, a row"),
        ({"episode": np.zeros((24, 1), int)}, "24 names or whole numbers are wanted, a row"),
        ({"episode": np.zeros(23, int)}, "24 names or whole numbers are wanted, a row"),
    ],
)
def test_arrays_that_are_no_episodes_are_refused(tmp_path: Path, more: Any, told: str) -> None:
    with pytest.raises(UploadRejected, match=told):
        Desk(tmp_path).publish(model=LongShort().content(), golden=arrays(**more))


RECURRENT_PPO = Path(__file__).parents[1] / "files" / "recurrent_ppo"
"""A policy of sb3-contrib, and what its own `predict` took: made by `make.py` there."""


def test_recurrent_ppo_decides_as_its_own_predict_step_by_step(tmp_path: Path) -> None:
    contract = contract_of(
        3, actions="{a: {type: str, enum: [x, y]}, b: {type: str, enum: [x, y, z]}}"
    )
    model, cases = ((RECURRENT_PPO / name).read_bytes() for name in ("policy.onnx", "golden.jsonl"))
    desk = Desk(tmp_path, contract)
    version = desk.publish(model=model, golden=cases)
    (check,) = desk.versions.verify(version).checks
    assert "30 golden cases agree" in check.detail
    swapped = cases.replace(b'"episode": 1', b'"episode": 0')  # their steps follow each other
    with pytest.raises(UploadRejected, match="golden cases disagree"):
        Desk(tmp_path / "other", contract).publish(model=model, golden=swapped)
