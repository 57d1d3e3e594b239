"""Episodes played here: each step asked of a server, kept, written to a file and read again."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from policy_server.contract.decoding import Decoder
from policy_server.contract.reading import read_schema
from policy_server.contract.schema import Observation
from policy_server.errors import RequestFailed
from policy_server.frontend.answers import Decision
from policy_server.frontend.episode_files import read_episodes
from policy_server.frontend.played_files import write_episodes
from policy_server.frontend.playing import (
    PREDICT,
    Asking,
    Played,
    PlayedStep,
    Rollout,
    act,
    ask,
    versions_in_words,
)
from policy_server.frontend.service import Service
from policy_server.frontend.stages import stage_of
from tests.frontend.conftest import FIELDS, served, service_of
from tests.support.networks import linear_onnx
from tests.support.recurrent import EPISODE, lstm_steps
from tests.support.server import ROOT, Server

STEPS = 6
OBSERVATIONS: list[Observation] = [
    dict(zip(FIELDS, map(float, row), strict=True)) for row in EPISODE[:STEPS]
]


def begun(service: Service, asking: Asking, rollout: Rollout | None = None) -> Played:
    return Played("played 1", asking, service.schema.digest, tuple(service.schema.fields), rollout)


def in_example(service: Service, name: str, asking: Asking, seed: int = 0) -> Played:
    stage = stage_of(ROOT / "examples" / name)
    assert stage is not None
    return begun(service, asking, Rollout(stage, seed))


def to_its_end(service: Service, played: Played) -> Played:
    while not played.ended:
        played = act(service, played)
    return played


def asked(service: Service, played: Played, observations: Sequence[Observation]) -> Played:
    for observation in observations:
        played = ask(service, played, observation)
    return played


def test_the_memory_of_a_step_goes_along_with_the_next(recurrent: Server) -> None:
    service = service_of(recurrent)
    played = asked(service, begun(service, Asking()), OBSERVATIONS)
    taken = [step.decision.actions[0] for step in played.steps]
    assert taken == [int(each.argmax()) for each in lstm_steps(EPISODE[:STEPS])]
    assert [real.observation for real in played.episode.steps] == OBSERVATIONS


def test_a_policy_with_memory_is_not_asked_without_and_the_steps_stay(recurrent: Server) -> None:
    service = service_of(recurrent)
    played = asked(service, begun(service, Asking()), OBSERVATIONS[:2])
    with pytest.raises(RequestFailed, match="/step") as told:
        ask(service, replace(played, asking=Asking(PREDICT)), OBSERVATIONS[2])
    assert told.value.status == 409
    assert len(played.steps) == 2


@pytest.mark.parametrize("name", ["lpoc", "thermostat", "simple_stochastic_tuple"])
def test_an_example_is_played_in_its_environment(name: str, request: pytest.FixtureRequest) -> None:
    fixture = "tuple_service" if name == "simple_stochastic_tuple" else f"{name}_service"
    service: Service = request.getfixturevalue(fixture)
    drawn = Asking(drawn=True, seed=3)
    played = to_its_end(service, in_example(service, name, drawn, 4))
    again = to_its_end(service, in_example(service, name, drawn, 4))
    assert played.steps == again.steps
    assert len(played.steps) > 1
    for step in played.steps:
        service.decoder.convert(step.observation)
    assert all(real.reward is not None for real in played.episode.steps)
    assert played.rollout is not None
    assert len({step.scene for step in played.steps} | {played.rollout.scene}) > 1


def test_what_is_downloaded_is_read_again(lpoc_service: Service) -> None:
    played = to_its_end(lpoc_service, in_example(lpoc_service, "lpoc", Asking()))
    other = replace(played, name="=other", steps=played.steps[:3])
    content = write_episodes([played, other])
    assert b"\n'=other," in content, "no spreadsheet runs it"
    found = read_episodes("episodes.csv", content, lpoc_service)
    assert found.left_out == ()
    assert list(found.episodes) == ["played 1", "=other"]
    for written in (played, other):
        read = found.episodes[written.name].steps
        assert [each.observation for each in read] == [each.observation for each in written.steps]
        assert [each.recorded for each in read] == [each.recorded for each in written.episode.steps]
        assert [each.reward for each in read] == [each.reward for each in written.steps]


SCHEMA_OF_NAMES = """observations:
  episode: {type: int, minimum: 0, maximum: 9}
  action: {type: "List[float]", min_items: 2, max_items: 2}
  reward: {type: str, enum: [none, "=1+1"]}
"""


def test_fields_that_are_called_like_columns_of_the_file_are_told_from_them(
    tmp_path: Path, certain_service: Service
) -> None:
    schema = read_schema(SCHEMA_OF_NAMES)
    service = replace(certain_service, schema=schema, decoder=Decoder(schema))
    observation: Observation = {"episode": 7, "action": [0.5, 1.0], "reward": "=1+1"}
    step = PlayedStep(observation, Decision((1, 2), ("a", "b"), "probability", 0.5), "1-a", -0.25)
    played = replace(begun(service, Asking()), steps=(step, step))
    found = read_episodes("episodes.csv", write_episodes([played]), service)
    (episode,) = found.episodes.values()
    assert episode.name == "played 1"
    assert [each.observation for each in episode.steps] == [observation] * 2
    assert [each.recorded for each in episode.steps] == [
        each.recorded for each in played.episode.steps
    ]
    assert [each.reward for each in episode.steps] == [-0.25] * 2


def test_a_version_that_changes_in_the_middle_is_told(tmp_path: Path) -> None:
    for server in served(tmp_path, linear_onnx(3, 2)):
        change_in_the_middle(service_of(server))


def change_in_the_middle(service: Service) -> None:
    stepped = asked(service, begun(service, Asking()), OBSERVATIONS[:2])
    predicted = asked(service, begun(service, Asking(PREDICT)), OBSERVATIONS[:2])
    first = stepped.steps[0].version
    files = {"model_file": ("policy.onnx", linear_onnx(3, 2, seed=1))}
    second = service.client.upload("upload_model", files)["version"]
    service.client.activate(second)
    stepped = ask(service, stepped, OBSERVATIONS[2])
    predicted = ask(service, predicted, OBSERVATIONS[2])
    assert versions_in_words(stepped.steps) == f"Decided by version {first}."
    assert versions_in_words(predicted.steps) == (
        f"The version changed in the middle: version {first} steps 1 to 2, version {second} step 3."
    )
    assert predicted.replayed.version_at(2) == first
    assert predicted.replayed.version_at(3) == second


def test_an_episode_whose_memory_is_refused_keeps_its_steps(linear: Server) -> None:
    service = service_of(linear)
    played = asked(service, begun(service, Asking()), OBSERVATIONS[:2])
    assert played.memory is not None
    cut = replace(played, memory=played.memory[:-9])
    with pytest.raises(RequestFailed, match="memory"):
        ask(service, cut, OBSERVATIONS[2])
    assert ask(service, played, OBSERVATIONS[2]).steps[:2] == played.steps


def test_an_environment_without_such_an_action_stays_as_it_was(thermostat_service: Service) -> None:
    """Schemas may be the same where actions are not."""
    stage = stage_of(ROOT / "examples" / "lpoc")
    assert stage is not None
    rollout = Rollout(stage, 0)
    rollout.observation = thermostat_service.example()
    before = rollout.scene
    with pytest.raises(ValueError, match="actions 0 to 4"):
        act(thermostat_service, begun(thermostat_service, Asking(), rollout))
    assert rollout.scene == before
    assert not rollout.ended
