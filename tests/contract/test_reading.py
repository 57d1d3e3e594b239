"""A schema file, in either dialect, whole."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_server.contract.actions import ActionSettings
from policy_server.contract.fields.array import Array
from policy_server.contract.fields.integer import Integer
from policy_server.contract.fields.number import Number
from policy_server.contract.fields.string import String
from policy_server.contract.reading import read_schema
from policy_server.contract.schema import ObservationSchema
from policy_server.errors import SchemaError
from tests.support.schemas import Description, assert_read_unchanged, descriptions

ROOT = Path(__file__).parents[2]
SWAGGER = """\
Observation:
  type: object
  required: [id, coordinates]
  properties:
    id: {type: integer, example: 0, minimum: 0, maximum: 10, description: Table ID}
    coordinates: {type: array, items: {type: integer}, minItems: 2, maxItems: 2, example: [1, 1]}
    mood: {type: string, enum: [calm, cross], default: calm}
    speed: {type: number, minimum: 0, exclusiveMinimum: true}
parameters: {discrete: true, tuple: false}
"""
BARE = """\
observations:
  mouse_row:
    type: float
  mouse_col:
    type: float
  cheese_row: {type: float}
parameters:
  discrete: true
  tuple: false
  api_key: "1234567asdfgh"
"""
COMPACT = """\
observations:
  id: {type: int, example: 0, minimum: 0, maximum: 10, description: Table ID}
  coordinates: {type: "List[int]", min_items: 2, max_items: 2, example: [1, 1]}
  mood: {type: str, enum: [calm, cross], default: calm, required: false}
  speed: {type: float, minimum: 0, exclusive_minimum: true, required: false}
parameters: {discrete: true, tuple: false}
"""


def meaning(schema: ObservationSchema) -> tuple[object, ...]:
    return list(schema.fields.items()), schema.required, schema.parameters


def faults(text: str) -> list[tuple[str, str]]:
    with pytest.raises(SchemaError) as caught:
        read_schema(text, "s.yaml")
    return [(fault.place, fault.detail) for fault in caught.value.faults]


class TestDialects:
    @pytest.mark.parametrize("text", [SWAGGER, COMPACT], ids=["swagger", "compact"])
    def test_a_file_becomes_what_it_says(self, text: str) -> None:
        assert meaning(read_schema(text)) == (
            [
                ("id", Integer(description="Table ID", minimum=0, maximum=10, example=0)),
                (
                    "coordinates",
                    Array(items=Integer(), min_items=2, max_items=2, example=[1, 1]),
                ),
                ("mood", String(enum=("calm", "cross"), default="calm")),
                ("speed", Number(minimum=0, exclusive_minimum=True)),
            ],
            frozenset({"id", "coordinates"}),
            ActionSettings(tuple=False, discrete=True),
        )

    @settings(max_examples=150, deadline=None)
    @given(descriptions(), st.booleans(), st.booleans())
    def test_both_dialects_say_the_same(
        self, description: Description, snake_case: bool, lists: bool
    ) -> None:
        swagger = read_schema(description.swagger())
        compact = read_schema(description.compact(snake_case=snake_case, lists=lists))

        assert meaning(compact) == meaning(swagger)
        assert compact.digest == swagger.digest
        assert swagger.as_json_schema()["properties"] == description.expected_properties()
        assert list(swagger.fields) == list(description.properties)
        assert swagger.required == description.required
        assert vars(swagger.parameters) == {"tuple": None, "discrete": None} | (
            description.parameters
        )
        assert swagger.text == description.swagger()
        assert swagger.warnings == compact.warnings == ()

    def test_a_compact_field_without_required_must_be_sent(self) -> None:
        schema = read_schema("observations: {a: {type: int}, b: {type: int, required: true}}")
        assert schema.required == {"a", "b"}

    def test_a_swagger_field_that_is_not_listed_need_not_be_sent(self) -> None:
        schema = read_schema("Observation: {properties: {a: {type: integer}}}")
        assert schema.required == frozenset()

    def test_a_schema_may_be_json(self) -> None:
        text = '{"observations": {"a": {"type": "int", "description": "\\ud83d\\ude00"}}}'
        assert read_schema(text).fields["a"].description == "\U0001f600"

    @pytest.mark.parametrize("newline", ["\n", "\r\n"])
    @pytest.mark.parametrize("start", ["", "﻿", "%YAML 1.1\n---\n", "# note\n"])
    def test_ways_of_beginning_a_file(self, start: str, newline: str) -> None:
        text = (start + SWAGGER).replace("\n", newline)
        assert meaning(read_schema(text)) == meaning(read_schema(SWAGGER))


class TestWholeFiles:
    def test_a_swagger_file_is_read_unchanged(self) -> None:
        path = ROOT / "examples" / "lpoc" / "schema.yaml"
        assert_read_unchanged(path.read_text(encoding="utf-8"))

    def test_a_compact_file_without_bounds_is_read_and_its_key_is_not_kept(self) -> None:
        schema = read_schema(BARE)

        assert list(schema.fields) == ["mouse_row", "mouse_col", "cheese_row"]
        assert set(schema.fields.values()) == {Number()}
        assert schema.required == schema.fields.keys()
        assert schema.parameters == ActionSettings(tuple=False, discrete=True)
        assert schema.text == BARE.replace('"1234567asdfgh"', "'***'")
        assert len(schema.warnings) == 1


class TestNames:
    @pytest.mark.parametrize(
        "name", ["no", "1", "yes", "on", "null", "~", "1e3", "2020-01-01", "größe", "高さ", "a b"]
    )
    def test_plain_names_are_kept_as_written(self, name: str) -> None:
        swagger = (
            f"Observation:\n  required: [{name}]\n  properties:\n    {name}: {{type: integer}}"
        )
        compact = f"observations:\n  {name}: {{type: int}}"
        assert list(read_schema(swagger).fields) == [name]
        assert read_schema(swagger).required == {name}
        assert meaning(read_schema(compact)) == meaning(read_schema(swagger))

    @pytest.mark.parametrize("name", ['""', '" "', r'"a\nb"', r'"\x00"', r'"\ud800"', "x" * 101])
    def test_other_names_are_faults(self, name: str) -> None:
        text = f"observations:\n  {name}: {{type: int}}"
        [(place, detail)] = faults(text)
        assert place == "s.yaml:2"
        assert detail.startswith("a field needs a name of 1 to 100 printable characters")

    def test_a_name_of_a_hundred_characters_is_one(self) -> None:
        assert list(read_schema("observations: {%s: {type: int}}" % ("字" * 100)).fields)

    def test_a_reference_is_no_name(self) -> None:
        [(place, detail)] = faults("observations:\n  $ref: {type: int}")
        assert place == "s.yaml:2"
        assert "another name" in detail

    def test_a_thousand_fields_keep_their_order(self) -> None:
        names = [f"field_{index * 7919 % 1000}" for index in range(1000)]
        lines = [f"    {name}: {{type: number, minimum: {i}}}" for i, name in enumerate(names)]
        required = f"  required: [{', '.join(names)}]"
        text = "\n".join(["Observation:", required, "  properties:", *lines])
        schema = read_schema(text)
        assert list(schema.fields) == names
        assert list(schema.fields.values()) == [Number(minimum=index) for index in range(1000)]
        assert schema.required == set(names)


WHOLE_FILE_FAULTS = [
    ("observations: {a: {type: int}}\nother: 1", 2, "`other` is not known here"),
    ("\n{}", 2, "exactly one of `Observation` (Swagger)"),
    ("Action: {properties: {a: {type: boolean}}}\nactions: {a: {type: bool}}", 2, "keep one"),
    ("Observation: {properties: {a: {type: boolean}}}\nactions: {}", 2, "call it `Action` here"),
    ("Observation: {properties: {a: {type: integer}}}\nobservations: {}", 1, "exactly one of"),
    ("observations:\n  a: {type: int}\nobservations: {}", 3, "a second time: keep one"),
    ("observations:\n  a: {type: int}\n  a: {type: int}", 3, "`a` stands here a second time"),
    ("observations:\n  1: {type: int}\n  '1': {type: int}", 3, "`1` stands here a second time"),
    ("observations:\n  [a]", 2, "`observations` must be a mapping, a list was found"),
    ("observations:\n", 1, "`observations` must be a mapping, `` was found"),
    ("observations:\n  {}", 2, "at least one field"),
    ("observations:\n  ? [a]\n  : {type: int}\n  b: {type: int}", 2, "a name is wanted here"),
    ("observations:\n  a: {type: int}\n  <<: {b: {type: int}}", 3, "merge keys (<<)"),
    ("Observation: 7", 1, "`Observation` must be a mapping, `7` was found"),
    ("Observation:\n  type: object\n", 2, "`properties`, the fields of `Observation`, is"),
    ("Observation:\n  type: list\n  properties: {a: {type: integer}}", 2, "the type `object`"),
    ("Observation:\n  type: [a]\n  properties: {a: {type: integer}}", 2, "the type `object`"),
    ("Observation:\n  properties:\n    [a]", 3, "`properties` must be a mapping, a list"),
    ("Observation:\n  properties:\n    ? [a]\n    : {type: integer}", 3, "a name is wanted here"),
    (
        "Observation:\n  allOf:\n    []\n  properties: {a: {type: integer}}",
        2,
        "`allOf` is not known here",
    ),
    (
        "Observation:\n  required: a\n  properties: {a: {type: integer}}",
        2,
        "`required` is a list of field names",
    ),
    (
        "Observation:\n  required:\n  - a\n  - [a]\n  properties: {a: {type: integer}}",
        4,
        "`required` is a list of field names",
    ),
    (
        "Observation:\n  required:\n  - a\n  - b\n  properties: {a: {type: integer}}",
        4,
        "`b` is required but is not among the `properties`",
    ),
    ("observations: {a: {type: int}}\nparameters: 1", 2, "`parameters` must be a mapping"),
    (
        "observations: {a: {type: int}}\nparameters:\n  tuples: true",
        3,
        "`tuples` is not a parameter: `tuple`, `discrete` and `url_path` are",
    ),
    ("observations: {a: {type: int}}\nparameters:\n  tuple: 1", 3, "`tuple` is true or false"),
    (
        "observations: {a: {type: int}}\nparameters:\n  discrete:\n    2020-13-45",
        4,
        "`discrete` is true or false",
    ),
    ("observations: {a: {type: int}}\nparameters:\n  tuple: 'yes'", 3, "true or false"),
]


class TestFaults:
    @pytest.mark.parametrize(("text", "line", "fragment"), WHOLE_FILE_FAULTS)
    def test_each_is_reported_with_its_line(self, text: str, line: int, fragment: str) -> None:
        [(place, detail)] = faults(text)
        assert place == f"s.yaml:{line}"
        assert fragment in detail
        assert detail.endswith(".")

    def test_all_are_reported_at_once(self) -> None:
        text = """\
Observation:
  type: array
  required: [a, missing]
  properties:
    a: {type: int}
    b: {type: integer, minimum: 2, maximum: 1}
    b: {type: boolean}
    c: {type: string}
    d: {type: boolean, default: 3}
parameters: {tuple: perhaps}
colour: red
"""
        assert sorted(int(place.split(":")[1]) for place, _ in faults(text)) == [
            2, 3, 5, 6, 7, 8, 9, 10, 11,
        ]  # fmt: skip

    def test_the_message_lists_them_for_a_terminal(self) -> None:
        with pytest.raises(SchemaError) as caught:
            read_schema("observations:\n  a: {type: x}\n  b: {}", "my.yaml")
        summary, first, second = str(caught.value).splitlines()
        assert summary == "my.yaml does not describe an observation that can be served."
        assert first.startswith("  my.yaml:2: ")
        assert second.startswith("  my.yaml:3: ")

    def test_unknown_fields_are_refused_whatever_the_file_says(self) -> None:
        text = "Observation:\n  additionalProperties: %s\n  properties: {a: {type: integer}}"
        assert read_schema(text % "false").warnings == ()
        [warning] = read_schema(text % "true").warnings
        assert warning.startswith("schema.yaml:2: `additionalProperties` is ignored")
        assert read_schema(text % "true").as_json_schema()["additionalProperties"] is False


SECRET = "s3cret-of-the-house"
BEFORE = "observations: {a: {type: int}}\nparameters:\n"


class TestSecrets:
    @pytest.mark.parametrize("after", ["", "\n", "\n  tuple: true\n", "\n\n# end\n"])
    @pytest.mark.parametrize(
        "value",
        [
            " %s",
            " '%s'",
            ' "%s"',
            " %s # mine",
            " &anchor !!str %s",
            " |\n    %s",
            " >-\n    %s\n",
            " |+\n    %s\n    and more\n\n",
            " %s\n    and more",
            ' "\\x20%s\\\n     "',
            " [%s, b]",
            "\n    - %s\n    - b",
            " {name: %s}",
            "\n    name: %s\n    other: b",
            "\n    %s",
        ],
    )
    def test_an_api_key_is_masked_in_every_style(self, value: str, after: str) -> None:
        text = BEFORE + "  api_key:" + value % SECRET + after
        schema = read_schema(text)

        assert SECRET not in repr(schema)
        assert "and more" not in schema.text
        assert "***" in schema.text
        assert schema.warnings[0].startswith("schema.yaml:")
        assert "POLICY_SERVER_API_KEYS" in schema.warnings[0]
        assert schema.parameters.tuple is (True if "tuple" in after else None)
        again = read_schema(schema.text)
        assert meaning(again) == meaning(schema)
        assert again.text == schema.text

    def test_an_api_key_in_flow_style(self) -> None:
        parameters = f"{{api_key: {SECRET}, tuple: true}}"
        text = f"{{observations: {{a: {{type: int}}}}, parameters: {parameters}}}"
        schema = read_schema(text)
        assert schema.text == text.replace(SECRET, "'***'")
        assert schema.parameters.tuple is True

    @pytest.mark.parametrize("value", ["", " ''", " []", " {}"])
    def test_an_empty_api_key_is_no_secret(self, value: str) -> None:
        text = f"{BEFORE}  api_key:{value}\n"
        schema = read_schema(text)
        assert schema.text == text
        assert schema.warnings == ()

    @pytest.mark.parametrize("style", ["%s", "[%s]", "{a: %s}"])
    def test_a_secret_that_stands_elsewhere_too_is_refused_without_being_told(
        self, style: str
    ) -> None:
        text = f"# old: {SECRET}\n{BEFORE}  api_key: {style % SECRET}\n"
        with pytest.raises(SchemaError) as caught:
            read_schema(text, "s.yaml")
        assert "s.yaml:4: take `api_key` out of the file." in str(caught.value)
        assert SECRET not in str(caught.value)

    def test_faults_beside_a_secret_do_not_tell_it(self) -> None:
        with pytest.raises(SchemaError) as caught:
            read_schema(f"{BEFORE}  api_key: {SECRET}\n  api_key: {SECRET}\n  tuple: 1\n")
        assert len(caught.value.faults) == 2
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "parameters: {discrete: false}",
        "actions: {push: {type: float}}",
        "Action: {properties: {push: {type: number}}}",
    ],
)
def test_a_schema_may_have_no_observations(text: str) -> None:
    schema = read_schema(text)
    assert not schema.is_observed
    assert schema.example() == {}
    assert schema.digest == read_schema("parameters: {}").digest
