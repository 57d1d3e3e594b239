"""Valid random observations."""

from collections import Counter

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings

from policy_server.contract.fields.field import Field
from policy_server.contract.fields.integer import Integer
from policy_server.contract.fields.number import Number
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation
from tests.support.schemas import Description, descriptions

SCHEMA = read_schema("""\
observations:
  must: {type: int, minimum: -2, maximum: 2}
  may: {type: bool, required: false}
  mood: {type: str, enum: [calm, cross, asleep]}
  level: {type: int, enum: [1, 10, 100]}
  share: {type: float, minimum: 0.25, maximum: 0.75}
  open: {type: float, minimum: 0, exclusive_minimum: true, maximum: 1, exclusive_maximum: true}
  steps: {type: int, minimum: 0, exclusive_minimum: true, maximum: 3, exclusive_maximum: true}
  many: {type: "List[int]", minimum: 0, maximum: 9, min_items: 1, max_items: 3}
  free: {type: "List[float]"}
""")
DRAWN = random_observations(SCHEMA, 600, seed=1)


def values(name: str) -> set[object]:
    return {observation[name] for observation in DRAWN if name in observation}


def values_of(field: Field, count: int = 400) -> list[object]:
    rng = np.random.default_rng(0)
    return [field.sample(rng) for _ in range(count)]


class TestRandomObservations:
    @settings(max_examples=100, deadline=None)
    @given(descriptions())
    def test_the_schema_accepts_all_of_them(self, description: Description) -> None:
        schema = read_schema(description.swagger())
        validator = jsonschema.Draft4Validator(schema.as_json_schema())
        for observation in random_observations(schema, 30, seed=3):
            assert list(validator.iter_errors(observation)) == []

    def test_the_first_has_every_field_and_the_second_only_the_required(self) -> None:
        first, second, *rest = DRAWN
        assert list(first) == list(SCHEMA.fields)
        assert set(second) == SCHEMA.required
        present = Counter("may" in observation for observation in rest)
        assert 240 < present[True] < 360  # 598 fair draws: six standard deviations are 73

    def test_every_member_of_an_enum_occurs(self) -> None:
        assert values("mood") == {"calm", "cross", "asleep"}
        assert values("level") == {1, 10, 100}
        assert values("may") == {True, False}

    def test_the_ends_of_ranges_occur_and_nothing_beyond(self) -> None:
        assert values("must") == {-2, -1, 0, 1, 2}
        assert values("steps") == {1, 2}
        shares = values("share")
        assert (min(shares), max(shares)) == (0.25, 0.75)  # type: ignore[type-var]
        opens = values("open")
        assert (min(opens), max(opens)) == (5e-324, 1 - 2**-53)  # type: ignore[type-var]

    def test_sizes_of_arrays_vary_within_their_limits(self) -> None:
        def sizes(name: str) -> set[int]:
            return {len(observation[name]) for observation in DRAWN}  # type: ignore[arg-type]

        assert sizes("many") == {1, 2, 3}
        assert min(sizes("free")) == 0
        assert max(sizes("free")) > 2

    def test_a_seed_repeats_them(self) -> None:
        def draw(seed: int | None) -> list[Observation]:
            return random_observations(SCHEMA, 5, seed)

        assert draw(7) == draw(7) != draw(8)
        assert draw(None) != draw(None)

    def test_none_are_none(self) -> None:
        assert random_observations(SCHEMA, 0) == []


class TestRandomValue:
    @pytest.mark.parametrize(
        ("minimum", "maximum"),
        [
            (None, None),
            (None, -1e6),
            (1e6, None),
            (-1.7e308, 1.7e308),
            (1e300, None),
            (2**53 + 1, 2**53 + 3),
            (5, 5),
        ],
    )
    @pytest.mark.parametrize("exclusive", [False, True])
    @pytest.mark.parametrize("type_", [Integer, Number])
    def test_wide_and_distant_ranges_are_kept(
        self,
        type_: type[Integer | Number],
        minimum: float | None,
        maximum: float | None,
        exclusive: bool,
    ) -> None:
        if exclusive and minimum == maximum is not None:
            return
        if type_ is Integer and minimum == 1e300:  # bounds of integers have 64 bits
            return
        field = type_(
            minimum=minimum,
            maximum=maximum,
            exclusive_minimum=exclusive and minimum is not None,
            exclusive_maximum=exclusive and maximum is not None,
        )
        validator = jsonschema.Draft4Validator(field.as_json_schema())
        drawn = values_of(field)
        assert all(validator.is_valid(value) for value in drawn)
        assert all(np.isfinite(float(value)) for value in drawn)  # type: ignore[arg-type]
        if minimum != 1e300:  # where no other number lies within the span that is drawn from
            assert (len(set(drawn)) > 1) == (field.lowest is None or field.lowest != field.highest)

    def test_numbers_are_spread_over_their_range(self) -> None:
        drawn = np.array(values_of(Number(minimum=-1e308, maximum=1e308), 2000))
        inside = drawn[np.abs(drawn) < 1e308] / 1e308
        assert abs(inside.mean()) < 0.08  # a standard error is 0.014
        assert abs(inside.var() - 1 / 3) < 0.05

    def test_integers_are_spread_over_their_range(self) -> None:
        counts = Counter(values_of(Integer(minimum=1, maximum=6), 6000))
        assert set(counts) == set(range(1, 7))
        assert all(800 < counts[face] < 1000 for face in range(2, 6))  # 900 and the ends more
        assert counts[1] > 1000
        assert counts[6] > 1000
