"""Steps of episodes: each goes on where the one before ended, by whichever version began it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from policy_server.errors import (
    EpisodesUnavailable,
    MemoryCut,
    MemoryForged,
    MemoryWanted,
    ObservationError,
)
from policy_server.store.registry import open_store
from policy_server.store.store import Store
from tests.serving.conftest import CONTRACT, make_version
from tests.support.contracts import contract_of
from tests.support.episodes import Json, Stepper, stepping
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.recurrent import (
    ACTIONS,
    EPISODE,
    FEATURES,
    OTHER,
    LongShort,
    lstm_steps,
)

LSTM = LongShort().content()
ROW = {"x": [0.5, -1.0, 2.0]}


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store whose active version is an LSTM."""
    store = open_store(tmp_path_factory.mktemp("recurrent") / "base")
    make_version(store, model=LSTM)
    return store


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store whose active version has no memory."""
    store = open_store(tmp_path_factory.mktemp("plain") / "base")
    make_version(store)
    return store


def observed(row: NDArray[np.float32]) -> Json:
    return {"x": row.tolist()}


def probability(logits: NDArray[Any], action: int) -> float:
    return float(special.softmax(logits)[action])


def agrees(prediction: Json, logits: NDArray[Any]) -> None:
    """A prediction is one of the distribution of these logits."""
    expected = probability(logits, prediction["action"])
    assert prediction["probability"] == pytest.approx(expected, abs=1e-5)


def test_a_recurrent_policy_gives_step_by_step_what_its_formulas_give(recurrent: Store) -> None:
    async def work(stepper: Stepper) -> None:
        memories: list[str | None] = [None, None]
        for step in range(len(EPISODE)):  # two episodes in turn: they do not mix
            for place, episode in enumerate((EPISODE, OTHER)):
                prediction, memories[place] = await stepper.step(
                    observed(episode[step]), memories[place]
                )
                agrees(prediction, lstm_steps(episode)[step])

    stepping(recurrent, CONTRACT, work)


def test_steps_of_many_episodes_take_one_run_and_do_not_mix(recurrent: Store) -> None:
    rng = np.random.default_rng(5)
    episodes = rng.standard_normal((40, 6, FEATURES)).astype(np.float32)
    expected = np.array([lstm_steps(episode) for episode in episodes])

    async def work(stepper: Stepper) -> None:
        memories: list[str | None] = [None] * len(episodes)
        for step in range(episodes.shape[1]):
            order = rng.permutation(len(episodes))
            given = [(observed(episodes[each, step]), memories[each]) for each in order]
            for each, (prediction, memory) in zip(order, await stepper.steps(given), strict=True):
                agrees(prediction, expected[each, step])
                memories[each] = memory

    stepping(recurrent, CONTRACT, work)


def test_a_step_that_is_sent_twice_is_answered_alike_and_goes_on_alike(recurrent: Store) -> None:
    async def work(stepper: Stepper) -> None:
        _, memory = await stepper.step(ROW)
        for step in range(5):
            row = observed(EPISODE[step])
            once = await stepper.step(row, memory)
            (again,) = await stepper.steps([(row, memory)])
            assert once == again  # the memory to the letter
            memory = once[1]

    stepping(recurrent, CONTRACT, work)


def test_an_older_memory_goes_on_from_there(recurrent: Store) -> None:
    async def work(stepper: Stepper) -> None:
        memories: list[str | None] = [None]
        for row in EPISODE[:4]:
            memories.append((await stepper.step(observed(row), memories[-1]))[1])
        branch = [*EPISODE[:2], OTHER[0]]
        prediction, _ = await stepper.step(observed(OTHER[0]), memories[2])
        agrees(prediction, lstm_steps(np.array(branch))[-1])

    stepping(recurrent, CONTRACT, work)


async def actions(stepper: Stepper, steps: int, **options: Any) -> list[int]:
    memory, taken = None, []
    for _ in range(steps):
        prediction, memory = await stepper.step(ROW, memory, **options)
        taken.append(prediction["action"])
    return taken


@pytest.mark.parametrize("with_memory", [False, True])
def test_a_seed_makes_an_episode_repeatable(
    recurrent: Store, plain: Store, with_memory: bool
) -> None:
    async def work(stepper: Stepper) -> None:
        once = await actions(stepper, 40, seed=3)
        assert once == await actions(stepper, 40, seed=3)
        assert len({tuple(await actions(stepper, 40, seed=seed)) for seed in range(6)}) == 6
        assert len({tuple(await actions(stepper, 40)) for _ in range(6)}) == 6
        assert len(set(await actions(stepper, 20, deterministic=True))) <= (
            ACTIONS if with_memory else 1
        )

    stepping(recurrent if with_memory else plain, CONTRACT, work)


def test_the_mode_needs_no_chance(plain: Store) -> None:
    best = int(np.argmax(np.array(ROW["x"]) @ linear_kernel(3, 4)))

    async def work(stepper: Stepper) -> None:
        assert set(await actions(stepper, 10, deterministic=True)) == {best}

    stepping(plain, CONTRACT, work)


def test_draws_over_episodes_and_within_them_follow_the_distribution(tmp_path: Path) -> None:
    """By chi-squared: single draws, and pairs of draws of one episode and of two."""
    store = open_store(tmp_path / "base")
    make_version(store, model=linear_onnx(3, 3, kernel=np.eye(3, dtype=np.float32)))
    row, episodes, steps = {"x": [0.5, 0.0, -0.5]}, 2_000, 3
    expected = special.softmax(row["x"])

    async def work(stepper: Stepper) -> None:
        given: list[tuple[Json, str | None]] = [(row, None)] * episodes
        drawn = []
        for _ in range(steps):
            answers = await stepper.steps(given, seed=11)
            drawn.append([prediction["action"] for prediction, _ in answers])
            given = [(row, memory) for _, memory in answers]
        taken = np.array(drawn).T
        pairs = {
            "draws": [taken[:, step] for step in range(steps)],
            "successive": [3 * taken[:, 0] + taken[:, 1], 3 * taken[:, 1] + taken[:, 2]],
            "neighbours": [3 * taken[:-1, 0] + taken[1:, 0], 3 * taken[:-1, 2] + taken[1:, 2]],
        }
        for name, samples in pairs.items():
            shares = expected if name == "draws" else np.outer(expected, expected).ravel()
            for sample in samples:
                counts = np.bincount(sample, minlength=len(shares))
                p = stats.chisquare(counts, shares * len(sample)).pvalue
                assert p > 1e-3, (name, counts)

    stepping(store, CONTRACT, work)


def test_draws_after_other_observations_tell_nothing_of_each_other(plain: Store) -> None:
    """Branches of one memory, at the same observation again: as often alike as by chance."""

    async def work(stepper: Stepper) -> None:
        _, memory = await stepper.step(ROW, seed=1)
        branches = [({"x": [*ROW["x"][:2], 2 + each / 1e4]}, memory) for each in range(1_500)]
        memories = [memory for _, memory in await stepper.steps(branches)]
        uniform = {"x": [0.0, 0.0, 0.0]}
        taken = [
            each["action"] for each, _ in await stepper.steps([(uniform, m) for m in memories])
        ]
        assert stats.chisquare(np.bincount(taken, minlength=4)).pvalue > 1e-3

    stepping(plain, CONTRACT, work)


def test_a_policy_with_memory_decides_on_steps_alone(recurrent: Store) -> None:
    async def work(stepper: Stepper) -> None:
        bodies = {"predict_batch": {"observations": [ROW]}, "predict_raw": {"obs": ROW["x"]}}
        for operation in ("predict", "predict_deterministic", "distribution", *bodies):
            with pytest.raises(MemoryWanted, match="POST /api/step"):
                await stepper.ask(operation, bodies.get(operation, ROW))
        request = stepper.plane.request_for("predict_batch_with_version")
        decoded = request.route.decode(json.dumps(bodies["predict_batch"]).encode())
        with pytest.raises(MemoryWanted):
            await stepper.plane.answer_with(stepper.live.current().name, request, decoded)

    stepping(recurrent, CONTRACT, work)


MASKED = contract_of(
    FEATURES,
    actions="{steer: {type: str, enum: [left, right]}}",
    more='may: {type: "List[bool]", shape: [2], mask_of: steer, required: false}',
)


def test_masks_go_together_with_memory(store: Store) -> None:
    make_version(store, MASKED, model=LSTM)
    expected = lstm_steps(EPISODE)

    async def work(stepper: Stepper) -> None:
        memories: list[str | None] = [None, None]
        for step, row in enumerate(EPISODE):
            only = step % 2
            masked = {**observed(row), "may": [only == 0, only == 1]}
            given = [(masked, memories[0]), (observed(row), memories[1])]
            (forced, memories[0]), (free, memories[1]) = await stepper.steps(given)
            assert (forced["action"], forced["probability"]) == (only, 1.0)
            agrees(free, expected[step])  # a mask is of this step alone
        forbids = {**observed(row), "may": [False, False]}
        with pytest.raises(ObservationError) as caught:
            await stepper.steps([(observed(row), None), (forbids, memories[0])])
        assert [fault.place for fault in caught.value.faults] == ["/steps/1/observation/may"]

    stepping(store, MASKED, work)


def test_faults_of_a_step_point_to_it(recurrent: Store) -> None:
    async def work(stepper: Stepper) -> None:
        _, memory = await stepper.step(ROW)
        begun = ({"x": [1, 2, 3]}, None)
        with pytest.raises(MemoryForged) as forged:
            await stepper.steps([begun, (ROW, memory), (ROW, f"A{memory[1:]}"), (ROW, "é")])
        assert [each.place for each in forged.value.faults] == [
            "/steps/2/memory",
            "/steps/3/memory",
        ]
        with pytest.raises(MemoryCut) as cut:
            await stepper.step(ROW, memory[:-1])
        assert [each.place for each in cut.value.faults] == ["/memory"]
        with pytest.raises(ObservationError) as large:
            await stepper.steps([begun, ({"x": [1, 1e39, 1]}, memory)])
        assert [each.place for each in large.value.faults] == ["/steps/1/observation"]
        with pytest.raises(ObservationError) as alone:
            await stepper.step({"x": [1, 1e39, 1]}, memory)
        assert [each.place for each in alone.value.faults] == ["/observation"]

    stepping(recurrent, CONTRACT, work)


def test_an_empty_batch_has_no_answers(recurrent: Store) -> None:
    async def work(stepper: Stepper) -> None:
        answer, by = await stepper.ask("step_batch", {"steps": []})
        assert answer == {"steps": []}
        assert by.name == stepper.live.current().name

    stepping(recurrent, CONTRACT, work)


def test_without_a_key_there_are_no_episodes(recurrent: Store) -> None:
    async def work(stepper: Stepper) -> None:
        with pytest.raises(EpisodesUnavailable, match="POLICY_SERVER_MEMORY_KEY"):
            await stepper.step(ROW)

    stepping(recurrent, CONTRACT, work, key=None)
