"""The contract as OpenAPI 2.0."""

import itertools
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings

from policy_server.contract.contract import Contract
from policy_server.contract.reading import UNSPEAKABLE, read_schema
from policy_server.contract.specification import (
    check_specification,
    operations,
    parse_specification,
    render_specification,
    specification_for,
    specification_path,
    write_specification,
)
from policy_server.errors import SchemaError
from tests.support.contracts import actions_of
from tests.support.schemas import Description, descriptions, to_yaml

TEMPLATE = Path(__file__).parents[2] / "swagger.template.yaml"
SCHEMA = read_schema("observations: {a: {type: int}, b: {type: float}}")
CONTRACT = Contract(SCHEMA)
PREDICTIONS: dict[tuple[bool, bool], list[dict[str, Any]]] = {
    (True, False): [{"action": 2, "meaning": "move down", "probability": 0.17}],
    (True, True): [{"actions": [1, 0], "meanings": ["up", "stay"], "probability": 0.12}],
    (False, False): [
        {"action": 0.53, "density": 1.9},
        {"actions": [0.5, 2.4], "density": 0.7},
        {"action": 0.53},
        {"actions": [0.5, 2.4]},
    ],
    (False, True): [
        {"actions": [0.5, 2.4], "density": 0.7},
        {"actions": [0.5], "density": 0.7},
        {"actions": [0.5]},
    ],
}
DISTRIBUTIONS: dict[bool, dict[str, Any]] = {
    True: {
        "heads": [{"actions": [0, 1], "meanings": ["up", "stay"], "probabilities": [0.9, 0.1]}],
        "entropy": 0.33,
    },
    False: {"dimensions": [{"mean": 0.5, "standard_deviation": 0.2}], "entropy": -0.19},
}
KINDS = list(itertools.product([True, False], [True, False]))


def definition(specification: dict[str, Any], name: str) -> jsonschema.Draft4Validator:
    root = {"$ref": f"#/definitions/{name}", "definitions": specification["definitions"]}
    return jsonschema.Draft4Validator(root)


def rendered(contract: Contract) -> dict[str, Any]:
    return check_specification(render_specification(contract, TEMPLATE))


def refusal(text: str) -> list[tuple[str, str]]:
    with pytest.raises(SchemaError) as caught:
        check_specification(text)
    return [(fault.place, fault.detail) for fault in caught.value.faults]


class TestRendering:
    @pytest.mark.parametrize(("discrete", "tuple_"), KINDS)
    def test_every_kind_of_action_is_valid_openapi(self, discrete: bool, tuple_: bool) -> None:
        contract = Contract(SCHEMA, actions_of(discrete=discrete, tuple_=tuple_))
        text = render_specification(contract, TEMPLATE)
        specification = check_specification(text)
        described = [each["operationId"] for each in operations(specification)]
        assert sorted(described) == sorted(contract.operations)
        wrong = text.replace("operationId: predict\n", "operationId: [predict]\n")
        assert wrong != text
        assert "/paths/~1predict/post/operationId" in [place for place, _ in refusal(wrong)]

    @pytest.mark.parametrize(("discrete", "tuple_"), KINDS)
    def test_predictions_have_the_shape_of_their_kind(self, discrete: bool, tuple_: bool) -> None:
        specification = rendered(Contract(SCHEMA, actions_of(discrete=discrete, tuple_=tuple_)))
        prediction = definition(specification, "Prediction")
        names = specification["definitions"]["Prediction"]["properties"]
        # One action and several differ, and so do probability and density.
        for kind, answers in PREDICTIONS.items():
            for answer in answers:
                fits = kind == (discrete, tuple_) or (
                    # A policy of several dimensions answers alike with and without TUPLE.
                    not discrete and not kind[0] and "actions" in answer
                )
                documented = answer.keys() <= names.keys()
                assert (prediction.is_valid(answer) and documented) == fits, (kind, answer)
                if documented:
                    batch = {"predictions": [answer, answer]}
                    assert definition(specification, "PredictionBatch").is_valid(batch) == fits

    @pytest.mark.parametrize(("discrete", "tuple_"), KINDS)
    def test_distributions_have_the_shape_of_their_kind(self, discrete: bool, tuple_: bool) -> None:
        validator = definition(
            rendered(Contract(SCHEMA, actions_of(discrete=discrete, tuple_=tuple_))), "Distribution"
        )
        assert validator.is_valid(DISTRIBUTIONS[discrete])
        assert not validator.is_valid(DISTRIBUTIONS[not discrete])
        without = {"dimensions": [{"mean": 0.5, "standard_deviation": 0.0}]}
        assert validator.is_valid(without) != discrete

    @settings(max_examples=25, deadline=None)
    @given(descriptions())
    def test_any_schema_comes_out_as_it_went_in(self, description: Description) -> None:
        schema = read_schema(description.swagger())
        specification = parse_specification(render_specification(Contract(schema), TEMPLATE))
        found = specification["definitions"]["Observation"]
        assert found == schema.as_json_schema()
        assert list(found["properties"]) == list(schema.fields)

    @pytest.mark.parametrize(
        "hostile",
        [
            "{{ 7 * 7 }}",
            "{% raw %}",
            "{# note",
            "a: b # c",
            "'\"\\",
            "- x",
            "<script>alert(1)</script> & co",
            "*anchor &alias !!python/object:x %YAML @ `",
            "größe 高さ \U0001f600",
            "1e-05 -3e+17",
            "null",
            "yes",
        ],
    )
    def test_hostile_texts_are_only_texts(self, hostile: str) -> None:
        text = to_yaml(
            {
                "Observation": {
                    "properties": {
                        # A name of a field holds none of these.
                        hostile.translate(dict.fromkeys(map(ord, UNSPEAKABLE), "/")): {
                            "type": "string",
                            "description": hostile + "\n\r\t\x7f\x85\u2028\ue000\ufeff" + hostile,
                            "enum": [hostile, hostile * 2],
                            "example": hostile,
                        }
                    }
                }
            }
        )
        schema = read_schema(text)
        specification = rendered(Contract(schema, title=hostile, version=hostile))
        assert specification["info"]["title"] == hostile
        assert specification["info"]["version"] == hostile
        assert specification["definitions"]["Observation"] == schema.as_json_schema()
        plain = rendered(CONTRACT)
        assert specification["paths"] == plain["paths"]

    def test_numbers_that_yaml_would_take_for_text_stay_numbers(self) -> None:
        schema = read_schema("observations: {a: {type: float, minimum: -1e-5, maximum: 1e+200}}")
        found = rendered(Contract(schema))["definitions"]["Observation"]["properties"]["a"]
        assert (found["minimum"], found["maximum"]) == (-1e-5, 1e200)


class TestTemplates:
    @pytest.mark.parametrize(
        "template",
        [
            "{{ missing }}",
            "{% if missing %}x{% endif %}",
            "{{ observation.missing.more }}",
            "{{ title",
            "{% nonsense %}",
            "{{ ''.__class__.__mro__ }}",
            "{{ ''['__class__'] }}",
            "{{ cycler.__init__.__globals__.os.getcwd() }}",
            "{{ '%s'|format(self._TemplateReference__context) }}{{ self.__init__.__globals__ }}",
            "{{ observation.update({}) }}{{ observation.__init__.__self__ }}",
            "{% include '/etc/passwd' %}",
            "{% for x in range(1000000) %}{% endfor %}",
            "{{ 1 / 0 }}",
            "{{ 1 + 'a' }}",
        ],
    )
    def test_other_templates_are_refused_with_their_name(
        self, template: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "t.yaml"
        path.write_text(template)
        with pytest.raises(SchemaError, match="cannot be rendered") as caught:
            render_specification(CONTRACT, path)
        assert caught.value.faults[0].place.startswith(str(path))

    def test_the_line_is_named_where_jinja_knows_it(self, tmp_path: Path) -> None:
        path = tmp_path / "t.yaml"
        path.write_text("a: 1\nb: {{ title")
        with pytest.raises(SchemaError) as caught:
            render_specification(CONTRACT, path)
        assert caught.value.faults[0].place == f"{path}:2"

    @pytest.mark.parametrize("content", [None, b"\xff"])
    def test_a_template_that_cannot_be_read_is_refused(
        self, content: bytes | None, tmp_path: Path
    ) -> None:
        path = tmp_path / "t.yaml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(SchemaError, match="cannot be rendered"):
            render_specification(CONTRACT, path)


HEAD = "swagger: '2.0'\ninfo: {title: a, version: b}\n"
ANSWER = "responses: {'200': {description: fine}}"


def with_answer(answer: str) -> str:
    return f"{HEAD}paths: {{/a: {{get: {{operationId: a, responses: {{'200': {answer}}}}}}}}}\n"


class TestChecking:
    def test_a_sound_one_passes(self) -> None:
        text = with_answer("{$ref: '#/responses/x~1y'}") + "responses: {x/y: {description: d}}"
        assert check_specification(text) == yaml.safe_load(text)

    @pytest.mark.parametrize(
        ("text", "place", "fragment"),
        [
            (with_answer("{$ref: '#/responses/x'}"), "#/responses/x", "there is nothing"),
            (with_answer("{$ref: '#/info/title/x'}"), "#/info/title/x", "there is nothing"),
            (with_answer("{$ref: 'http://127.0.0.1:9/x'}"), "http://127.0.0.1:9/x", "only ref"),
            (with_answer("{$ref: 'other.yaml#/a'}"), "other.yaml#/a", "only references that"),
            (with_answer("{$ref: '/etc/passwd'}"), "/etc/passwd", "only references that begin"),
            (with_answer("{$ref: '#'}"), "#", "only references that begin with #/"),
            (with_answer("{$ref: 5}"), "/paths/~1a/get/responses/200", "not valid"),
            (HEAD, "", '"paths" is a required property'),
            (HEAD + "paths: null", "", "too unlike OpenAPI 2.0"),
            (HEAD + "paths: []", "/paths", "not of type"),
            (HEAD + "paths: {/a: {get: null}}", "/paths/~1a/get", "not of type"),
            (HEAD + "paths: {/a: {get: {operationId: a}}}", "/paths/~1a/get", "responses"),
            (HEAD + f"paths: {{/a: {{get: {{{ANSWER}}}}}}}", "None", "operationId of its own"),
            (
                HEAD + f"paths: {{/a: {{get: {{operationId: [a], {ANSWER}}}}}}}",
                "/paths/~1a/get/operationId",
                "not of type",
            ),
        ],
    )
    def test_faults_are_told_with_their_place(self, text: str, place: str, fragment: str) -> None:
        found_place, detail = refusal(text)[0]
        assert found_place == place
        assert fragment in detail

    def test_an_operation_id_used_twice_is_refused(self) -> None:
        one = f"{{operationId: same, {ANSWER}}}"
        text = f"{HEAD}paths: {{/a: {{get: {one}, post: {one}}}, /b: {{get: {one}}}}}"
        assert any(place == "same" or "same" in detail for place, detail in refusal(text))

    def test_references_that_go_round_in_circles_are_refused(self) -> None:
        assert refusal(HEAD + "paths: {/a: {$ref: '#/paths/~1a'}}")

    def test_all_faults_of_a_kind_are_told(self) -> None:
        text = with_answer("{$ref: '#/x'}").replace("info:", "x-more: {$ref: 'y'}\ninfo:")
        assert [place for place, _ in refusal(text)] == ["y", "#/x"]

    @pytest.mark.parametrize("text", ["a: [", "- a", "word", "", "a: \x00", "!!python/name:os.x x"])
    def test_what_is_no_mapping_is_refused(self, text: str) -> None:
        assert refusal(text)[0][0] == "swagger.yaml"


class TestKeeping:
    def test_what_is_written_is_what_is_served(self, tmp_path: Path) -> None:
        path = write_specification(CONTRACT, TEMPLATE, tmp_path)
        assert path == specification_path(tmp_path) == tmp_path / "swagger.yaml"
        assert path.read_text() == render_specification(CONTRACT, TEMPLATE)
        assert specification_for(CONTRACT, TEMPLATE, [tmp_path]) == rendered(CONTRACT)

    def test_a_kept_one_is_believed_only_if_it_is_the_same(self, tmp_path: Path) -> None:
        template = tmp_path / "t.yaml"
        template.write_text(HEAD)  # not valid: it has no paths
        for kept in ("", HEAD + " ", "paths: {}"):
            specification_path(tmp_path).write_text(kept)
            with pytest.raises(SchemaError):
                specification_for(CONTRACT, template, [tmp_path])
        specification_path(tmp_path).write_text(HEAD)  # as if it had been checked before
        assert specification_for(CONTRACT, template, [tmp_path]) == yaml.safe_load(HEAD)

    @pytest.mark.parametrize("damage", [b"\xff\xfe", b"paths: {}"])
    def test_a_damaged_one_is_not_used(self, damage: bytes, tmp_path: Path) -> None:
        specification_path(tmp_path).write_bytes(damage)
        assert specification_for(CONTRACT, TEMPLATE, [tmp_path]) == rendered(CONTRACT)

    def test_one_of_another_contract_is_not_used(self, tmp_path: Path) -> None:
        write_specification(CONTRACT, TEMPLATE, tmp_path)
        other = Contract(SCHEMA, actions_of(tuple_=True))
        assert (
            specification_for(other, TEMPLATE, [tmp_path]) == rendered(other) != rendered(CONTRACT)
        )

    def test_nothing_is_written_that_does_not_pass(self, tmp_path: Path) -> None:
        template = tmp_path / "t.yaml"
        template.write_text(HEAD)
        with pytest.raises(SchemaError):
            write_specification(CONTRACT, template, tmp_path / "kept")
        assert not (tmp_path / "kept").exists()
