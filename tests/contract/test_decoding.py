"""The compiled decoder, against jsonschema; compiled features, against a plain flattening."""

import contextlib
import json
import math
from typing import Any

import jsonschema
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from policy_server.contract.decoding import Decoder, compile_features
from policy_server.contract.fields.array import Array
from policy_server.contract.fields.bounded import Bounded
from policy_server.contract.fields.field import Field
from policy_server.contract.fields.string import String
from policy_server.contract.reading import UNSPEAKABLE, read_schema
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.errors import SchemaError
from tests.support.schemas import descriptions

SLOW = settings(
    deadline=None,
    derandomize=True,
    max_examples=60,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.0, -0.0, 0.5, "", "1", "true", [], {}, [[]], [None], [1, 2]),
    *(
        2**53,
        2**53 + 1,
        2**63 - 1,
        -(2**63),
        1e308,
        -1e308,
        5e-324,
        3.5e38,
        [True],
        ["a"],
        {"a": 1},
    ),
]
HOSTILE = [
    *("'", "{", "}", "{0}", "%s", "f0", "o", "o.f0", "#", ":", "- a", "~", "a/b", "<b>", "&amp;"),
    *("__class__", "__init__", "self", "lambda", "class", "import os", "UNSET", "t0", "None"),
    *("__import__('os').abort()", "a=1)+(", "größe", "高さ", "😀", "__struct_fields__", "type"),
]


@st.composite
def nearly_valid(draw: st.DrawFn, schema: ObservationSchema) -> Any:
    """A valid observation, changed in up to two places."""
    observation: Any = draw(
        st.sampled_from(random_observations(schema, 5, draw(st.integers(0, 2**20))))
    )
    observation = dict(observation)
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from([*schema.fields, "unknown"]))
        change = draw(st.sampled_from(["drop", "odd", "near"]))
        if change == "drop" or (change == "near" and name not in observation):
            observation.pop(name, None)
        elif change == "odd":
            observation[name] = draw(st.sampled_from(ODD))
        else:
            observation[name] = draw(beside(observation[name], schema.fields.get(name)))
    return observation


@st.composite
def beside(draw: st.DrawFn, value: Any, field: Field | None) -> Any:
    """Something next to a value: an item more, a bound passed, another type."""
    if isinstance(value, list):
        inside = field.items if isinstance(field, Array) else None
        index = draw(st.integers(0, max(len(value) - 1, 0)))
        changed = [draw(beside(item, inside)) for item in value[index : index + 1]]
        new = [*value[:index], *changed, *value[index + 1 :]]
        return draw(st.sampled_from([new, value[1:], [*value, *value[:1]], [*value, None]]))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return draw(st.sampled_from([f"{value}", f"{value} ", 0, 1, None]))
    ends = (field.minimum, field.maximum) if isinstance(field, Bounded) else ()
    near = [draw(st.sampled_from([value, *(end for end in ends if end is not None)]))]
    near += [near[0] - 1, near[0] + 1, -near[0]]
    if abs(near[0]) < 1e300:
        near += [math.nextafter(near[0], side) for side in (-math.inf, math.inf)]
        near += [float(near[0]), int(near[0])]
    return draw(st.sampled_from([number for number in near if math.isfinite(number)]))


def served() -> st.SearchStrategy[Any]:
    """Schemas; for quotes and backslashes in names, and for long integers, see tests below."""
    return descriptions().filter(
        lambda each: (
            not set('"\\') & set("".join(each.properties))
            and all(map(within_64_bits, numbers_in(enums_in(each.properties))))
        )
    )


def enums_in(keywords: dict[str, Any]) -> list[Any]:
    """All that stands in enums."""
    found = list(keywords.get("enum", []))
    for item in keywords.values():
        found += enums_in(item) if isinstance(item, dict) else []
    return found


def numbers_in(value: Any) -> list[int | float]:
    """Every number of a JSON value."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers_in(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers_in(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def within_64_bits(number: int | float | str) -> bool:
    return not isinstance(number, int) or -(2**63) <= number < 2**63


def exactly_comparable(value: Any) -> bool:
    """Integers within 64 bits that a float64 holds, where a number field may be meant."""
    return all(
        isinstance(number, float) or (within_64_bits(number) and int(float(number)) == number)
        for number in numbers_in(value)
    )


def accepts(decoder: Decoder, body: bytes) -> bool:
    try:
        decoder.decode(body)
    except msgspec.MsgspecError:
        return False
    return True


def accepts_batch(decoder: Decoder, bodies: list[bytes]) -> bool:
    try:
        decoder.decode_batch(b'{"observations": [%s]}' % b", ".join(bodies))
    except msgspec.MsgspecError:
        return False
    return True


def swagger(**fields: dict[str, Any]) -> ObservationSchema:
    """A schema of optional fields, whatever they are called."""
    document = {"Observation": {"type": "object", "properties": fields}}
    return read_schema(json.dumps(document, ensure_ascii=False))


class TestAccepts:
    @SLOW
    @given(served(), st.data())
    def test_exactly_what_the_contract_accepts(self, description: Any, data: st.DataObject) -> None:
        schema = read_schema(description.swagger())
        decoder = Decoder(schema)
        validator = jsonschema.Draft4Validator(schema.as_json_schema())
        for _ in range(8):
            value = data.draw(nearly_valid(schema))
            if not exactly_comparable(value):
                continue
            valid, body = validator.is_valid(value), json.dumps(value).encode()
            assert accepts(decoder, body) is valid, value
            assert accepts_batch(decoder, [body, body]) is valid
            if valid:
                assert decoder.convert(value) == decoder.decode(body)

    @SLOW
    @given(served(), st.integers(0, 2**32))
    def test_every_valid_observation(self, description: Any, seed: int) -> None:
        schema = read_schema(description.swagger())
        decoder = Decoder(schema)
        for observation in random_observations(schema, 10, seed):
            if all(map(within_64_bits, numbers_in(observation))):
                assert accepts(decoder, json.dumps(observation).encode()), observation

    @pytest.mark.parametrize("value", [*ODD, "3", [3], -1, 11, 10.0, 3.0])
    def test_values_of_an_integer(self, value: object) -> None:
        schema = swagger(id={"type": "integer", "minimum": 0, "maximum": 10})
        valid = jsonschema.Draft4Validator(schema.as_json_schema()).is_valid({"id": value})
        assert accepts(Decoder(schema), json.dumps({"id": value}).encode()) is valid
        assert valid is (type(value) is int and 0 <= value <= 10)

    @pytest.mark.parametrize(
        "body",
        [
            *(b"", b"null", b"[]", b"3", b'"id"', b"{", b'{"id": 3', b'{"id": 3}}', b"{'id': 3}"),
            *(b'{"id": NaN}', b'{"id": Infinity}', b'{"id": 03}', b'{"id": 1e400}', b'{"id": .5}'),
            *(b'\xef\xbb\xbf{"id": 3}', b'{"id": 3, "x": 1}', b'{"id": 3,}', b'{"ID": 3}'),
            *(b'{"id": 3} x', b'{"id": ' + b"9" * 400 + b"}", b'{"f0": 3}', b"[" * 100),
        ],
    )
    def test_what_is_no_observation(self, body: bytes) -> None:
        assert not accepts(Decoder(swagger(id={"type": "number"})), body)

    @pytest.mark.parametrize(
        "body", [b' {"id": 3}\n', b'{"\\u0069d": 3}', b'{"id": 1, "id": 3}', b'{"id": 3e0}']
    )
    def test_other_spellings(self, body: bytes) -> None:
        decoder = Decoder(swagger(id={"type": "number"}))
        assert decoder.to_dict(decoder.decode(body)) == {"id": 3.0}

    def test_batches_of_any_size_up_to_the_contracts_limit(self) -> None:
        decoder = Decoder(swagger(id={"type": "integer"}))
        assert decoder.decode_batch(b'{"observations": []}') == []
        assert len(decoder.decode_batch(b'{"observations": [%s{}]}' % (b"{}," * 9_999))) == 10_000
        assert not accepts_batch(decoder, [b"{}"] * 10_001)
        for body in (b"{}", b"[]", b'{"observations": {}}', b'{"observations": [], "x": 1}'):
            with pytest.raises(msgspec.ValidationError):
                decoder.decode_batch(body)


class TestToDict:
    SCHEMA = read_schema("""\
observations:
  z: {type: int}
  level: {type: float, default: 2, required: false}
  tags: {type: "List[int]", default: [1, 2], required: false}
  a: {type: bool, required: false}
  b: {type: bool}
""")

    def test_the_schemas_order_defaults_and_absence(self) -> None:
        decoder = Decoder(self.SCHEMA)
        observation = decoder.to_dict(decoder.decode(b'{"b": true, "z": 7}'))
        assert list(observation.items()) == [
            *(("z", 7), ("level", 2.0), ("tags", [1, 2]), ("b", True)),
        ]
        whole = decoder.to_dict(
            decoder.decode(b'{"b": false, "a": false, "tags": [], "level": 0, "z": 1}')
        )
        expected = {"z": 1, "level": 0.0, "tags": [], "a": False, "b": False}
        assert list(whole.items()) == list(expected.items())
        assert type(whole["level"]) is float

    def test_a_default_is_not_shared(self) -> None:
        decoder = Decoder(self.SCHEMA)
        first = decoder.to_dict(decoder.decode(b'{"b": true, "z": 7}'))
        assert isinstance(first["tags"], list)
        first["tags"].append(3)
        again = decoder.to_dict(decoder.decode(b'{"b": true, "z": 7}'))
        assert again["tags"] == [1, 2]

    @SLOW
    @given(served(), st.integers(0, 2**32))
    def test_what_was_sent_is_what_comes(self, description: Any, seed: int) -> None:
        schema = read_schema(description.swagger())
        decoder = Decoder(schema)
        for sent in random_observations(schema, 5, seed):
            body = json.dumps(sent).encode()
            if not accepts(decoder, body):
                continue  # of an integer beyond 64 bits
            defaults = {
                name: field.default
                for name, field in schema.fields.items()
                if field.default is not None
            }
            expected = {**defaults, **sent}
            found = decoder.to_dict(decoder.decode(body))
            assert found == expected
            assert list(found) == [name for name in schema.fields if name in expected]


def flattened(schema: ObservationSchema, observation: Observation) -> list[float]:
    """The features of an observation, one field after the other."""
    features: list[float] = []
    for name, field in schema.fields.items():
        value = observation.get(name, field.default)
        if value is None:
            features += [0.0] * (field.feature_width or 0)
        else:
            features += _flat(field, value)
    return features


def _flat(field: Field, value: Any) -> list[float]:
    if isinstance(field, Array):
        return [number for item in value for number in _flat(field.items, item)]
    if isinstance(field, String):
        return [1.0 if value == member else 0.0 for member in field.enum]
    return [float(value)]


class TestFeatures:
    @SLOW
    @given(served(), st.integers(0, 2**32))
    def test_they_are_the_fields_in_order(self, description: Any, seed: int) -> None:
        schema = read_schema(description.swagger())
        assume(all(field.feature_width is not None for field in schema.fields.values()))
        decoder, flatten = Decoder(schema), compile_features(schema)
        for observation in random_observations(schema, 5, seed):
            body = json.dumps(observation).encode()
            if accepts(decoder, body):
                found = np.array(flatten(decoder.decode(body)), dtype=np.float64)
                np.testing.assert_array_equal(found, flattened(schema, observation))

    def test_a_thousand_fields(self) -> None:
        kinds: list[dict[str, Any]] = [
            {"type": "integer"},
            {"type": "boolean"},
            {"type": "string", "enum": ["a", "b", "c"]},
            {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
        ]
        fields = {f"field {number}": kinds[number % 4] for number in range(1000)}
        schema = swagger(**fields)
        decoder, flatten = Decoder(schema), compile_features(schema)
        for observation in random_observations(schema, 3, seed=1):
            record = decoder.decode(json.dumps(observation).encode())
            assert decoder.to_dict(record) == observation
            assert list(flatten(record)) == flattened(schema, observation)
        assert not accepts(decoder, b'{"field 1000": 1}')


class TestHostileNames:
    def test_names_and_values_never_become_code(self) -> None:
        enum = {"type": "string", "enum": HOSTILE}
        names = [name for name in HOSTILE if not UNSPEAKABLE & set(name)]
        fields: dict[str, dict[str, Any]] = dict.fromkeys(names, enum)
        fields["numbers"] = {"type": "array", "items": {"type": "integer"}}
        fields["numbers"] |= {"minItems": 2, "maxItems": 2}
        schema = swagger(**fields)
        decoder, flatten = Decoder(schema), compile_features(schema)
        whole: Observation = dict(zip(names, reversed(HOSTILE), strict=False))
        observations: list[Observation] = [whole, {"numbers": [3, 4]}, {}]
        for observation in [*observations, {**whole, "numbers": [1, 2]}]:
            record = decoder.decode(json.dumps(observation).encode())
            assert decoder.to_dict(record) == observation
            assert list(flatten(record)) == flattened(schema, observation)
        for name in names:
            assert not accepts(decoder, json.dumps({name: "no such"}).encode())
            assert not accepts(decoder, json.dumps({f"{name}?": name}).encode())

    def test_records_have_no_attributes_but_by_position(self) -> None:
        schema = swagger(**{"__class__": {"type": "integer"}, "__dict__": {"type": "integer"}})
        record = Decoder(schema).decode(b'{"__class__": 1, "__dict__": 2}')
        assert type(record).__struct_fields__ == ("f0", "f1")
        assert Decoder(schema).to_dict(record) == {"__class__": 1, "__dict__": 2}

    @pytest.mark.parametrize("name", ['"', "\\", 'a"b', "\\n", '\\"'])
    def test_quotes_and_backslashes_are_served_or_refused_with_a_reason(self, name: str) -> None:
        with contextlib.suppress(SchemaError):
            decoder = Decoder(swagger(**{name: {"type": "integer"}}))
            body = json.dumps({name: 3}).encode()
            assert decoder.to_dict(decoder.decode(body)) == {name: 3}

    @pytest.mark.parametrize("number", [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30])
    def test_long_integers_in_an_enum_are_served_or_refused_with_a_reason(
        self, number: int
    ) -> None:
        with contextlib.suppress(SchemaError):
            decoder = Decoder(swagger(id={"type": "integer", "enum": [1, number]}))
            assert decoder.to_dict(decoder.decode(b'{"id": 1}')) == {"id": 1}

    @SLOW
    @given(
        st.text(st.characters(exclude_categories=["C"], exclude_characters='"\\'), min_size=1),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
    def test_any_name_and_any_value(self, name: str, value: str) -> None:
        schema = ObservationSchema({name: String(enum=(value,))}, frozenset({name}))
        decoder, flatten = Decoder(schema), compile_features(schema)
        record = decoder.decode(json.dumps({name: value}).encode())
        assert decoder.to_dict(record) == {name: value}
        assert list(flatten(record)) == [1.0]
