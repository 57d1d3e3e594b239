"""One field of a schema file."""

import pytest

from policy_server.contract.fields.array import Array
from policy_server.contract.fields.boolean import Boolean
from policy_server.contract.fields.field import Field
from policy_server.contract.fields.integer import Integer
from policy_server.contract.fields.number import Number
from policy_server.contract.fields.string import String
from policy_server.contract.reading import read_schema
from policy_server.errors import SchemaError


def swagger(keywords: str) -> Field:
    return read_schema(f"Observation:\n  properties:\n    x: {keywords}").fields["x"]


def compact(keywords: str) -> Field:
    return read_schema(f"observations:\n  x: {keywords}").fields["x"]


def faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(SchemaError) as caught:
        read_schema(text, "s.yaml")
    return [(fault.place, fault.detail) for fault in caught.value.faults]


NUMBER = Number()


class TestTypes:
    @pytest.mark.parametrize(
        ("keywords", "field"),
        [
            ("{type: int}", Integer()),
            ("{type: float}", NUMBER),
            ("{type: bool}", Boolean()),
            ("{type: str, enum: [a]}", String(enum=("a",))),
            ("{type: integer}", Integer()),
            ("{type: number}", NUMBER),
            ("{type: 'List[int]'}", Array(items=Integer())),
            ("{type: 'list[ float ]'}", Array(items=NUMBER)),
            ("{type: 'List[str]', enum: [a]}", Array(items=String(enum=("a",)))),
            (
                "{type: 'List[int]', minimum: 0, exclusiveMinimum: true, max_items: 3}",
                Array(
                    items=Integer(minimum=0, exclusive_minimum=True),
                    max_items=3,
                ),
            ),
            ("{type: list, items: {type: bool}}", Array(items=Boolean())),
            ("{type: int, title: X, x-mine: 1}", Integer()),
            ("{type: int, minimum: 1e3}", Integer(minimum=1000)),
            ("{type: float, format: float}", Number(format="float")),
        ],
    )
    def test_compact_spellings(self, keywords: str, field: Field) -> None:
        assert compact(keywords) == field

    def test_nested_arrays_of_fixed_size(self) -> None:
        row = "{type: array, items: {type: number}, minItems: 3, maxItems: 3}"
        field = swagger(f"{{type: array, items: {row}, minItems: 2, maxItems: 2}}")
        inner = Array(items=NUMBER, min_items=3, max_items=3)
        assert field == Array(items=inner, min_items=2, max_items=2)
        assert field.feature_width == 6
        short = "{type: list, items: {type: 'List[float]', min_items: 3, max_items: 3}, %s}"
        assert compact(short % "min_items: 2, max_items: 2") == field

    @pytest.mark.parametrize("keyword", ["example", "default"])
    @pytest.mark.parametrize(
        ("type_", "value"), [("boolean", "false"), ("integer", "0"), ("number", "0.0")]
    )
    def test_values_that_count_as_nothing_are_values(
        self, keyword: str, type_: str, value: str
    ) -> None:
        field = swagger(f"{{type: {type_}, {keyword}: {value}}}")
        assert getattr(field, keyword) in (0, False)
        assert getattr(field, keyword) is not None


DEEP_LIST = "List[" * 2000 + "int" + "]" * 2000
FIXED = "minItems: 1000, maxItems: 1000"
FAULTS = [
    ("7", "the field `x` must be a mapping, `7` was found"),
    ("[a]", "the field `x` must be a mapping, a list was found"),
    ("{}", "`x` needs a `type`: array, boolean, integer, number, string"),
    ("{type: int}", "`int` of `x` is not a type: array, boolean, integer, number, string"),
    ("{type: [integer]}", "`['integer']` of `x` is not a type"),
    ("{type: null}", "`None` of `x` is not a type"),
    ("{type: file}", "`file` of `x` is not a type"),
    ("{type: integer, minimun: 0}", "`minimun` of `x` is not supported: type, description,"),
    ("{type: integer, required: false}", "`required` of `x` is not supported"),
    ("{type: integer, min_items: 1}", "`min_items` of `x` is not supported"),
    ("{type: integer, $ref: a}", "`$ref` of `x` is not supported"),
    ("{type: integer, minimum: 0, minimum: 1}", "`minimum` stands here a second time"),
    ("{type: string}", "the string `x` needs `enum`"),
    ("{type: string, enum: []}", "`enum` of `x` is a list of its values"),
    ("{type: string, enum: a}", "`enum` of `x` is a list of its values"),
    ("{type: string, enum: [yes, no]}", "must be a string, in quotes where YAML would read"),
    ("{type: string, enum: [a, a]}", "`enum` of `x` lists a value twice"),
    ("{type: string, enum: [a], minimum: 0}", "`minimum` of `x` goes with numbers only"),
    ("{type: integer, enum: [1, true]}", "every value in `enum` of `x` must be a integer"),
    ("{type: integer, enum: [1, 2], maximum: 3}", "`x` has bounds beside `enum`"),
    ("{type: number, enum: [1.5]}", "goes with strings and integers only"),
    ("{type: boolean, enum: [true]}", "goes with strings and integers only"),
    ("{type: boolean, minimum: 0}", "`minimum` of `x` goes with numbers only"),
    ("{type: number, minimum: .inf}", "`minimum` of `x` is a finite number"),
    ("{type: number, maximum: .nan}", "`maximum` of `x` is a finite number"),
    ("{type: number, minimum: 1e999}", "`minimum` of `x` is a finite number"),
    (f"{{type: integer, maximum: {10**400}}}", "`maximum` of `x` is a finite number"),
    ("{type: number, minimum: '0'}", "`minimum` of `x` is a finite number"),
    ("{type: number, minimum: true}", "`minimum` of `x` is a finite number"),
    ("{type: number, minimum: }", "`minimum` of `x` is a finite number"),
    ("{type: number, minimum: 0, exclusiveMinimum: 1}", "`exclusive_minimum` of `x` is true or"),
    ("{type: number, exclusiveMaximum: true}", "says how `maximum` is meant: give both"),
    ("{type: number, minimum: 2, maximum: 1}", "no number lies within the bounds of `x`"),
    ("{type: integer, minimum: 0.2, maximum: 0.8}", "no integer lies within the bounds of `x`"),
    (
        "{type: number, minimum: 1, maximum: 1, exclusiveMaximum: true}",
        "no number lies within the bounds",
    ),
    (
        "{type: number, minimum: 1.0, maximum: 1.0000000000000002, exclusiveMinimum: true, "
        "exclusiveMaximum: true}",
        "no number lies within the bounds",
    ),
    (
        "{type: number, minimum: 1.7976931348623157e+308, exclusiveMinimum: true}",
        "no number lies within the bounds",
    ),
    (
        "{type: integer, minimum: 1, maximum: 2, exclusiveMinimum: true, exclusiveMaximum: true}",
        "no integer lies within the bounds",
    ),
    ("{type: integer, minItems: 1}", "`min_items` of `x` goes with arrays only"),
    ("{type: integer, items: {type: integer}}", "`items` of `x` goes with arrays only"),
    ("{type: array}", "the array `x` needs `items`"),
    ("{type: array, items: 3}", "the field `x[]` must be a mapping"),
    ("{type: array, items: {}}", "`x[]` needs a `type`"),
    ("{type: array, items: {type: integer}, minItems: -1}", "is a count up to 1,000,000"),
    ("{type: array, items: {type: integer}, maxItems: 1000001}", "is a count up to 1,000,000"),
    ("{type: array, items: {type: integer}, maxItems: 2.0}", "is a count up to 1,000,000"),
    ("{type: array, items: {type: integer}, maxItems: true}", "is a count up to 1,000,000"),
    ("{type: array, items: {type: integer}, minItems: 3, maxItems: 2}", "more items at least than"),
    (
        "{type: array, minItems: 2, maxItems: 2, items: {type: array, items: {type: integer}}}",
        "minItems equal to maxItems at every level",
    ),
    (
        "{type: array, items: {type: array, minItems: 1, maxItems: 1, items: {type: integer}}}",
        "must hold numbers and have a fixed size",
    ),
    (
        "{type: array, minItems: 1, maxItems: 1, "
        "items: {type: array, minItems: 1, maxItems: 1, items: {type: boolean}}}",
        "must hold numbers",
    ),
    (
        f"{{type: array, {FIXED}, items: {{type: array, minItems: 1001, maxItems: 1001, "
        "items: {type: integer}}}",
        "`x` holds more than 1,000,000 numbers",
    ),
    ("{type: array, minimum: 0, items: {type: integer}}", "goes with numbers only"),
    ("{type: integer, description: 3}", "`description` of `x` is a text"),
    ("{type: integer, format: [a]}", "`format` of `x` is a text"),
    ("{type: integer, description: 2020-13-45}", "`description` of `x` cannot be read"),
    ("{type: integer, default: 1.5}", "`default` of `x`: 1.5 is not of type 'integer'"),
    ("{type: integer, default: true}", "`default` of `x`: True is not of type 'integer'"),
    ("{type: integer, maximum: 3, default: 4}", "`default` of `x`: 4 is greater than the maximum"),
    ("{type: string, enum: [a], default: b}", "`default` of `x`: 'b' is not one of ['a']"),
    ("{type: number, default: .nan}", "`default` of `x`: nan is not finite"),
    ("{type: number, default: -.inf}", "`default` of `x`: -inf is not finite"),
    ("{type: array, items: {type: number}, default: [1, .nan]}", "`default` of `x`: nan is not"),
    ("{type: array, items: {type: integer}, minItems: 2, default: [1]}", "`default` of `x`: [1]"),
    ("{type: integer, default: }", "`default` of `x`: None is not of type 'integer'"),
]
COMPACT_FAULTS = [
    ("{type: text}", "`text` of `x` is not a type: int, float, bool, str, List[int], List[float]"),
    ("{type: 'List[text]'}", "`text` of `x[]` is not a type"),
    ("{type: 'List[str]'}", "the string `x[]` needs `enum`"),
    ("{type: 'List[List[int]]', min_items: 2, max_items: 2}", "at every level"),
    (f"{{type: '{DEEP_LIST}'}}", "is nested deeper than 8 arrays"),
    ("{type: 'List[int]', items: {type: float}}", "`items` of `x` goes with the type `list`"),
    ("{type: list}", "the array `x` needs `items`"),
    ("{type: int, required: 1}", "`required` of `x` is true or false"),
    ("{type: int, required: 2020-13-45}", "`required` of `x` is true or false"),
    ("{type: 'List[int]', minItems: 1, min_items: 1}", "in two spellings: keep one"),
    ("{type: list, items: {type: int, required: true}}", "`required` of `x[]` is not supported"),
]


class TestFaults:
    @pytest.mark.parametrize(("keywords", "fragment"), FAULTS)
    def test_each_is_reported_with_its_line(self, keywords: str, fragment: str) -> None:
        [(place, detail)] = faults(f"Observation:\n  properties:\n    x:\n      {keywords}")
        assert place == "s.yaml:4"
        assert fragment in detail
        assert detail.endswith(".")

    @pytest.mark.parametrize(("keywords", "fragment"), COMPACT_FAULTS)
    def test_compact_ones_too(self, keywords: str, fragment: str) -> None:
        [(place, detail)] = faults(f"observations:\n  x:\n    {keywords}")
        assert place == "s.yaml:3"
        assert fragment in detail

    def test_the_line_is_that_of_the_keyword(self) -> None:
        text = """\
observations:
  x:
    type: int
    minimum: low
    maximum:
      high
    default: 1
    enum: []
    max_items: 3
"""
        assert [place for place, _ in faults(text)] == [f"s.yaml:{line}" for line in (8, 4, 6, 9)]

    def test_swagger_arrays_nested_without_end(self) -> None:
        keywords = "{type: integer}"
        for _ in range(100):
            keywords = f"{{type: array, minItems: 1, maxItems: 1, items: {keywords}}}"
        [(_, detail)] = faults(f"Observation: {{properties: {{x: {keywords}}}}}")
        assert "is nested deeper than 8 arrays" in detail

    def test_eight_levels_are_served(self) -> None:
        keywords = "{type: integer}"
        for _ in range(8):
            keywords = f"{{type: array, minItems: 2, maxItems: 2, items: {keywords}}}"
        assert swagger(keywords).feature_width == 256


class TestExamples:
    @pytest.mark.parametrize(
        ("keywords", "fragment"),
        [
            ("{type: integer, maximum: 3, example: 4}", "4 is greater than the maximum of 3"),
            ("{type: integer, example: 1.5}", "1.5 is not of type 'integer'"),
            ("{type: number, example: .nan}", "nan is not finite"),
            ("{type: number, example: 2020-01-01}", "datetime.date(2020, 1, 1) is not of type"),
            ("{type: string, enum: [a], example: b}", "'b' is not one of"),
        ],
    )
    def test_a_wrong_one_is_left_out_with_a_warning(self, keywords: str, fragment: str) -> None:
        schema = read_schema(f"Observation:\n  properties:\n    x:\n      {keywords}", "s.yaml")
        assert schema.fields["x"].example is None
        [warning] = schema.warnings
        assert warning.startswith("s.yaml:4: `example` of `x` is left out: ")
        assert fragment in warning


def test_what_looks_like_a_power_of_ten_is_text_where_text_is_wanted() -> None:
    schema = read_schema(
        "observations:\n"
        "  mode: {type: str, enum: [1e3, slow], default: 1e3, description: 2e5}\n"
        "  modes: {type: list, items: {type: str, enum: [1e3, slow]}, example: [1e3]}\n"
        "  speed: {type: float, maximum: 1e3}\n"
    )
    enum = ("1e3", "slow")
    assert list(schema.fields.values()) == [
        String(enum=enum, default="1e3", description="2e5"),
        Array(items=String(enum=enum), example=["1e3"]),
        Number(maximum=1000.0),
    ]
