"""Sweeps: every point is asked for once, where it is said to be, and all else is held."""

import json

import pytest
from hypothesis import given

from policy_server.contract.decoding import Decoder
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation
from policy_server.explaining.places import moved
from policy_server.frontend import sensitivity
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import (
    MAX_BATCH,
    MAX_BATCH_BYTES,
    Sweep,
    axes_of,
    largest_batch,
    value_at,
)
from tests.support.schemas import Description, descriptions


@given(descriptions())
def test_whatever_is_moved_stays_valid_and_all_else_as_it_was(description: Description) -> None:
    schema = read_schema(description.swagger())
    decoder = Decoder(schema)
    held = random_observations(schema, 1, seed=0)[0]
    before = json.dumps(held)
    for axis in axes_of(schema, held)[:20]:
        low, high = axis.field.span(value_at(held, axis.path))
        for value in axis.field.spread(low, high, 5):
            changed = moved(held, {axis.path: value})
            decoder.convert(changed)
            assert value_at(changed, axis.path) == value
            back = moved(changed, {axis.path: value_at(held, axis.path)})
            assert json.dumps(back) == before
    assert json.dumps(held) == before


def test_each_point_has_the_decision_that_the_server_takes_there(lpoc_service: Service) -> None:
    held = lpoc_service.example()
    axes = {axis.name: axis for axis in axes_of(lpoc_service.schema, held)}
    chosen = (axes["coordinates[0]"], axes["has_core"])
    values = tuple(axis.field.spread(0, 6, 100) for axis in chosen)
    sweep = Sweep(chosen, values).decided(lpoc_service.client, held)
    assert sweep.points == len(sweep.decisions) == 7 * 2
    for (column, core), decision in zip(sweep.grid(), sweep.decisions, strict=True):
        row = held["coordinates"][1]  # type: ignore[index]
        observation = {**held, "coordinates": [column, row], "has_core": core}
        alone = lpoc_service.client.post("predict_deterministic", observation)
        assert decision.words == alone["meaning"]
        assert decision.certainty == pytest.approx(alone["probability"], rel=1e-6)


def test_a_batch_fits_into_a_request(lpoc_service: Service) -> None:
    small = lpoc_service.example()
    assert largest_batch(small) == MAX_BATCH
    large: Observation = {"pixels": [0.123456789] * 10_000}
    count = largest_batch(large)
    assert len(json.dumps({"observations": [large] * count})) <= MAX_BATCH_BYTES + 100
    assert count > 1


def test_a_field_that_the_policy_does_not_see_ranks_last(lpoc_service: Service) -> None:
    found = sensitivity.measure(lpoc_service)
    names = [each.name for each in found.influences]
    assert set(names) == set(lpoc_service.schema.fields)
    effects = [each.effect for each in found.influences]
    assert effects == sorted(effects, reverse=True)
    # The example's preprocessor does not read the number of the table.
    assert dict(zip(names, effects, strict=True))["id"] == 0
    assert 0 < effects[0] <= 1
    assert found.observations >= 100
    again = sensitivity.measure(lpoc_service, seed=100)
    for one in found.influences:
        (two,) = (each for each in again.influences if each.name == one.name)
        # Two means of one thing: their difference has both margins.
        assert abs(one.effect - two.effect) <= 2 * (one.margin + two.margin)


def test_sensitivity_of_continuous_actions_is_a_distance(thermostat_service: Service) -> None:
    found = sensitivity.measure(thermostat_service)
    assert found.renderer.influence == "Mean change of the action"
    assert found.influences[0].effect > 0
