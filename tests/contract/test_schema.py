"""An observation in the project's own terms."""

import math

import jsonschema
import pytest

from policy_server.contract.fields.array import Array
from policy_server.contract.fields.boolean import Boolean
from policy_server.contract.fields.field import Field
from policy_server.contract.fields.integer import Integer, IntegerEnum
from policy_server.contract.fields.number import Number
from policy_server.contract.fields.string import String
from policy_server.contract.reading import read_schema
from policy_server.contract.schema import ObservationSchema

NUMBER = Number()


class TestFeatureWidth:
    @pytest.mark.parametrize(
        ("field", "width"),
        [
            (Integer(), 1),
            (IntegerEnum(enum=(1, 5, 9)), 1),
            (Boolean(), 1),
            (String(enum=("a", "b", "c")), 3),
            (Array(items=NUMBER, min_items=4, max_items=4), 4),
            (Array(items=NUMBER, min_items=0, max_items=0), 0),
            (Array(items=NUMBER), None),
            (Array(items=NUMBER, min_items=2), None),
            (Array(items=NUMBER, max_items=2), None),
            (
                Array(items=String(enum=("a", "b")), min_items=3, max_items=3),
                6,
            ),
            (
                Array(
                    items=Array(items=NUMBER, min_items=2, max_items=2),
                    min_items=3,
                    max_items=3,
                ),
                6,
            ),
            (Array(items=Array(items=NUMBER), min_items=1, max_items=1), None),
        ],
    )
    def test_it_counts_numbers(self, field: Field, width: int | None) -> None:
        assert field.feature_width == width


class TestEnds:
    @pytest.mark.parametrize(
        ("field", "lowest", "highest"),
        [
            (Integer(), None, None),
            (Integer(minimum=2, maximum=5), 2, 5),
            (Integer(minimum=2.5, maximum=5.5), 3, 5),
            (Integer(minimum=-2.5, maximum=-1.5), -2, -2),
            (
                Integer(minimum=2, maximum=5, exclusive_minimum=True,
                      exclusive_maximum=True),
                3,
                4,
            ),
            (Integer(minimum=2**60 + 1, maximum=10**30), 2**60 + 1, 10**30),
            (NUMBER, None, None),
            (Number(minimum=2, maximum=5), 2.0, 5.0),
            (
                Number(minimum=0, maximum=1, exclusive_minimum=True,
                      exclusive_maximum=True),
                5e-324,
                1 - 2**-53,
            ),
            (Number(minimum=2**53 + 1), float(2**53 + 2), None),
            (Number(maximum=2**53 + 1), None, float(2**53)),
        ],
    )  # fmt: skip
    def test_they_are_the_outermost_values_allowed(
        self, field: Integer | Number, lowest: float | None, highest: float | None
    ) -> None:
        assert (field.lowest, field.highest) == (lowest, highest)
        if isinstance(field, Number):
            assert not isinstance(field.lowest, int)

    def test_beyond_the_largest_number_there_is_none(self) -> None:
        field = Number(minimum=1.7976931348623157e308, exclusive_minimum=True)
        assert field.lowest == math.inf


class TestJsonSchema:
    def test_every_keyword_is_said_as_swagger_says_it(self) -> None:
        field = Array(
            description="d",
            items=Number(
                format="float",
                minimum=0,
                maximum=1,
                exclusive_minimum=True,
                exclusive_maximum=True,
                default=0.5,
            ),
            min_items=1,
            max_items=2,
            example=[0.5],
        )
        assert field.as_json_schema() == {
            "type": "array",
            "description": "d",
            "items": {
                "type": "number",
                "format": "float",
                "minimum": 0,
                "maximum": 1,
                "exclusiveMinimum": True,
                "exclusiveMaximum": True,
                "default": 0.5,
            },
            "minItems": 1,
            "maxItems": 2,
            "example": [0.5],
        }

    def test_the_definition_refuses_unknown_fields_and_lists_required_ones_in_order(self) -> None:
        fields = {"b": NUMBER, "a": NUMBER, "c": NUMBER}
        schema = ObservationSchema(fields, frozenset({"a", "b"})).as_json_schema()
        assert schema["required"] == ["b", "a"]
        assert list(schema["properties"]) == ["b", "a", "c"]  # type: ignore[call-overload]
        validator = jsonschema.Draft4Validator(schema)
        assert validator.is_valid({"a": 1, "b": 2})
        assert not validator.is_valid({"a": 1, "b": 2, "d": 3})
        assert not validator.is_valid({"a": 1})

    def test_without_required_fields_the_keyword_is_left_out(self) -> None:
        # Draft 4 forbids an empty list.
        assert "required" not in ObservationSchema({"a": NUMBER}, frozenset()).as_json_schema()


class TestExample:
    def test_it_is_made_of_the_fields_examples(self) -> None:
        fields = {"a": Integer(example=0), "b": Boolean(example=False)}
        schema = ObservationSchema({**fields, "c": NUMBER}, frozenset({"a"}))
        assert schema.example() == {"a": 0, "b": False}
        assert schema.as_json_schema()["example"] == {"a": 0, "b": False}

    def test_there_is_none_where_a_required_field_has_none(self) -> None:
        schema = ObservationSchema({"a": NUMBER}, frozenset({"a"}))
        assert schema.example() is None
        assert "example" not in schema.as_json_schema()


BASE = "observations: {a: {type: int, minimum: 0}, b: {type: float}}"


class TestDigest:
    @pytest.mark.parametrize(
        "same",
        [
            "Observation: {required: [b, a], properties: "
            "{a: {minimum: 0, type: integer}, b: {type: number}}}",
            "observations: {a: {type: int, minimum: 0, description: d, example: 3}, "
            "b: {type: float, format: float}}",
            BASE + "\nparameters: {tuple: true}",
        ],
    )
    def test_documentation_and_spelling_do_not_count(self, same: str) -> None:
        assert read_schema(same).digest == read_schema(BASE).digest

    @pytest.mark.parametrize(
        "other",
        [
            "observations: {b: {type: float}, a: {type: int, minimum: 0}}",
            "observations: {a: {type: int}, b: {type: float}}",
            "observations: {a: {type: int, minimum: 1}, b: {type: float}}",
            "observations: {a: {type: float, minimum: 0}, b: {type: float}}",
            "observations: {a: {type: int, minimum: 0}, b: {type: float, required: false}}",
            "observations: {a: {type: int, minimum: 0}, b: {type: float, default: 0}}",
            "observations: {a: {type: int, minimum: 0}, c: {type: float}}",
            "observations: {a: {type: int, minimum: 0}, b: {type: 'List[float]'}}",
        ],
    )
    def test_meaning_counts(self, other: str) -> None:
        assert read_schema(other).digest != read_schema(BASE).digest
