"""Every type of field: its draws, decoding, features, spec, words and form agree."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.contract.decoding import Decoder, compile_features
from policy_server.contract.fields.array import Array
from policy_server.contract.fields.boolean import Boolean
from policy_server.contract.fields.bounded import Bounded
from policy_server.contract.fields.controls import Choice, ListEntry, NumberEntry, Switch
from policy_server.contract.fields.field import Field, Scalar
from policy_server.contract.fields.integer import Integer, IntegerEnum
from policy_server.contract.fields.number import Number
from policy_server.contract.fields.registry import FIELD_TYPES
from policy_server.contract.fields.string import String
from policy_server.contract.reading import read_schema
from policy_server.contract.schema import ObservationSchema
from tests.support.schemas import Description, descriptions


@dataclass(frozen=True, kw_only=True)
class Compass(Number):
    """A type that the server does not have: an angle in degrees, seen by the network in turns."""

    json_type = "number"
    compact_type = "compass"

    def feature_terms(self, place: str, tables: dict[str, Any]) -> str:
        return f"{place} / 360"


EXAMPLES = [
    Integer(),
    Integer(minimum=2, maximum=5, exclusive_minimum=True),
    IntegerEnum(enum=(1, 5, 9)),
    Number(),
    Number(minimum=-0.5, maximum=1e300),
    Boolean(),
    String(enum=("calm", "a, b", "größer")),
    Array(items=Integer(), min_items=3, max_items=3),
    Array(items=String(enum=("a", "b")), min_items=2, max_items=2),
    Array(items=Boolean()),
    Array(items=Array(items=Number(), min_items=2, max_items=2), min_items=3, max_items=3),
    Compass(minimum=0, maximum=360),
]


def draws(field: Field, count: int = 50) -> list[Any]:
    rng = np.random.default_rng(0)
    return [field.sample(rng) for _ in range(count)]


def schema_of(field: Field) -> ObservationSchema:
    return ObservationSchema({"x": field}, frozenset({"x"}))


def test_every_type_has_an_example_here() -> None:
    assert {type(field) for field in EXAMPLES} >= set(FIELD_TYPES)


class TestEveryType:
    @pytest.mark.parametrize("field", EXAMPLES, ids=repr)
    def test_draws_fit_the_spec_and_are_decoded_as_they_were_sent(self, field: Field) -> None:
        validator = jsonschema.Draft4Validator(field.as_json_schema())
        decoder = Decoder(schema_of(field))
        for value in draws(field):
            assert validator.is_valid(value)
            assert field.wrong_value(value) is None
            record = decoder.decode(json.dumps({"x": value}).encode())
            assert decoder.to_dict(record) == {"x": value}

    @pytest.mark.parametrize(
        "field", [each for each in EXAMPLES if each.feature_width is not None], ids=repr
    )
    def test_draws_make_as_many_features_as_promised(self, field: Field) -> None:
        schema = schema_of(field)
        decoder, flatten = Decoder(schema), compile_features(schema)
        for value in draws(field):
            features = flatten(decoder.convert({"x": value}))
            assert len(features) == field.feature_width
            assert all(isinstance(feature, int | float) for feature in features)

    @pytest.mark.parametrize("field", EXAMPLES, ids=repr)
    def test_a_draw_written_into_a_cell_is_read_again(self, field: Field) -> None:
        for value in draws(field):
            text = value if isinstance(value, str) else json.dumps(value)
            assert field.parse(text) == value

    @pytest.mark.parametrize("field", [e for e in EXAMPLES if isinstance(e, Scalar)], ids=repr)
    def test_values_spread_over_it_are_valid(self, field: Scalar) -> None:
        low, high = field.span(draws(field, 1)[0])
        values = field.spread(low, high, 5)
        assert 1 < len(values) <= 5
        assert all(field.wrong_value(value) is None for value in values)
        assert all(isinstance(value, field.python_type) for value in values)

    @settings(max_examples=60, deadline=None)
    @given(descriptions(), st.integers(0, 2**32))
    def test_so_do_those_of_any_schema(self, description: Description, seed: int) -> None:
        schema = read_schema(description.swagger())
        rng = np.random.default_rng(seed)
        for field in schema.fields.values():
            value = field.sample(rng)
            assert field.wrong_value(value) is None
            alone = schema_of(field)
            record = Decoder(alone).convert({"x": value})
            if field.feature_width is not None:
                assert len(compile_features(alone)(record)) == field.feature_width


class TestWords:
    @pytest.mark.parametrize(
        ("field", "words", "entry"),
        [
            (Integer(minimum=0, maximum=10), "an integer from 0 to 10", "a whole number, 0 to 10"),
            (
                Number(minimum=0, exclusive_minimum=True),
                "a number above 0",
                "a number, above 0",
            ),
            (
                Number(minimum=1, maximum=2.5, exclusive_maximum=True, default=2),
                "a number from 1 below 2.5, by default 2",
                "a number, at least 1 and below 2.5",
            ),
            (Boolean(default=False), "a boolean, by default false", "true or false"),
            (String(enum=("a", "b")), 'one of "a", "b"', "a or b"),
            (IntegerEnum(enum=(1, 7)), "one of 1, 7", "1 or 7"),
            (
                Array(items=Integer(), min_items=2),
                "a list of 2 items or more, each an integer",
                "2 to any items, each: a whole number",
            ),
            (
                Array(items=Array(items=Number(), min_items=2, max_items=2), max_items=3),
                "a list of 0 to 3 items, each a list of 2 items, each a number",
                "0 to 3 items, each: a list of a number",
            ),
        ],
    )
    def test_they_say_what_the_field_takes(self, field: Field, words: str, entry: str) -> None:
        assert field.in_words() == words
        assert field.entry_in_words() == entry


def test_a_form_shows_what_the_type_takes() -> None:
    shown = Array(items=Integer(minimum=1, maximum=3), min_items=2, max_items=2).control()
    assert shown == ListEntry(NumberEntry(True, 1, 3, "1 to 3"), 2)
    assert Array(items=Boolean()).control() == ListEntry(Switch(), None)
    assert Number(minimum=0, exclusive_minimum=True).control() == NumberEntry(
        False, 5e-324, None, "above 0"
    )
    assert IntegerEnum(enum=(1, 2)).control() == Choice((1, 2))


@pytest.mark.parametrize(
    ("field", "cells"),
    [
        (Integer(), {"1": 1, "2.0": 2, "1e3": 1000, "1.5": 1.5, "x": "x", "inf": float("inf")}),
        (Number(), {"1": 1, "2.5": 2.5, "": ""}),
        (Boolean(), {"True": True, "no": False, "0": False, "maybe": "maybe"}),
        (String(enum=("1", "a")), {"1": "1", "a": "a", "true": "true"}),
        (Array(items=Integer()), {"[1, 2]": [1, 2], "[1": "[1"}),
    ],
    ids=repr,
)
def test_cells_of_a_table_mean_what_people_write(field: Field, cells: Mapping[str, object]) -> None:
    assert {cell: field.parse(cell) for cell in cells} == cells


def test_a_type_of_its_own_needs_nothing_beside_its_class() -> None:
    schema = schema_of(Compass(minimum=0, maximum=360))
    decoder, flatten = Decoder(schema), compile_features(schema)
    assert flatten(decoder.decode(b'{"x": 90}')) == (0.25,)
    assert isinstance(schema.fields["x"], Bounded)
