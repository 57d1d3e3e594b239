"""YAML with line numbers."""

import pytest
import yaml

from policy_server.contract.document import (
    FaultList,
    entries,
    line_of,
    mapping,
    plain_value,
    read_document,
    switch,
)
from policy_server.errors import SchemaError


def refusal(text: str) -> tuple[str, str]:
    with pytest.raises(SchemaError, match=r"^f\.yaml cannot be read\.") as caught:
        read_document(text, "f.yaml")
    [fault] = caught.value.faults
    return fault.place, fault.detail


def node(text: str) -> yaml.Node:
    return read_document(f"value: {text}", "f.yaml").value[0][1]  # type: ignore[no-any-return]


class TestReadDocument:
    @pytest.mark.parametrize(
        ("text", "place", "fragment"),
        [
            ("", "f.yaml", "a mapping is wanted, nothing was found"),
            ("\n# only a note\n", "f.yaml", "nothing was found"),
            ("\n- a\n- b", "f.yaml:2", "a mapping is wanted, a list was found"),
            ("word", "f.yaml:1", "`word` was found"),
            ("x" * 1000, "f.yaml:1", f"`{'x' * 40}...` was found"),
            ("a: 1\n---\nb: 2", "f.yaml:2", "but found another document"),
            ("a: 1\n  b: 2", "f.yaml:2", "mapping values are not allowed here"),
            ("a: 1\n\tb: 2", "f.yaml:2", "cannot start any token"),
            ("a: [1,\nb: 2", "f.yaml:2", "expected ',' or ']'"),
            ("a: 'open", "f.yaml:1", "unexpected end of stream"),
            ("a: 1\nb: \x00", "f.yaml:2", "the character U+0000 is not allowed"),
            ("a: 1\nb: \ud800", "f.yaml:2", "the character U+D800 is not allowed"),
            ('a: "\\Uffffffff"', "f.yaml", "not YAML"),
            ("a: &x 1\nb: *x", "f.yaml:2", "aliases (*) are not read: write it out"),
            ("%YAML 9.9\n---\na: 1", "f.yaml:1", "incompatible YAML document"),
        ],
    )
    def test_refusals_name_the_line(self, text: str, place: str, fragment: str) -> None:
        found_place, detail = refusal(text)
        assert found_place == place
        assert fragment in detail
        assert "\n" not in detail

    def test_a_billion_laughs_are_not_heard(self) -> None:
        lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
        for level in range(1, 12):
            lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]")
        assert refusal("\n".join(lines))[0] == "f.yaml:2"

    @pytest.mark.parametrize("opening", ["[", "{a: "])
    def test_deep_nesting_is_refused(self, opening: str) -> None:
        assert refusal("a: " + opening * 5000)[1] == "nested too deeply."

    def test_length_is_limited(self) -> None:
        assert "2,000,000" in refusal("a: " + "x" * 2_000_000)[1]
        assert read_document("a: " + "x" * 1_999_997, "f.yaml").value

    def test_no_object_of_python_is_made(self) -> None:
        with pytest.raises(ValueError, match="could not determine a constructor"):
            plain_value(node("!!python/object/apply:os.getcwd []")) or plain_value(
                node("!!python/name:os.getcwd x")
            )


class TestPlainValue:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("1", 1),
            ("1e3", 1000.0),
            ("-2E-2", -0.02),
            ("1.5e+3", 1500.0),
            ("'1e3'", "1e3"),
            ("yes", True),
            ("'yes'", "yes"),
            ("off", False),
            ("~", None),
            ("", None),
            ("[1, a, {b: no}]", [1, "a", {"b": False}]),
            ("{no: 1, 1: 2}", {"no": 1, "1": 2}),
            (r'"\ud83d\ude00"', "\U0001f600"),
            (r'"\U0001F600"', "\U0001f600"),
        ],
    )
    def test_values_are_those_that_a_person_means(self, text: str, value: object) -> None:
        found = plain_value(node(text))
        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("2020-13-45", "month must be in 1..12"),
            ("!!timestamp soon", "`soon` is not what its form or tag says"),
            ("!!bool maybe", "`maybe` is not what"),
            ("!!int ''", "`` is not what"),
            ("!!int 1x", "invalid literal"),
            ("!!float x", "could not convert"),
            ("!mine x", "could not determine a constructor"),
            (r'"\ud800"', "half a character"),
            ("9" * 5000, "4300"),
        ],
    )
    def test_values_that_cannot_be_made(self, text: str, reason: str) -> None:
        with pytest.raises(ValueError, match=reason) as caught:
            plain_value(node(text))
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("true", True),
            ("No", False),
            ("'true'", None),
            ("1", None),
            ("", None),
            ("[true]", None),
            ("2020-13-45", None),
        ],
    )
    def test_switches_are_true_or_false(self, text: str, value: bool | None) -> None:
        assert switch(node(text)) is value


class TestEntries:
    def test_names_are_taken_as_written(self) -> None:
        faults = FaultList("f.yaml")
        root = read_document("no: 1\n010: 2\n~: 3\n'x y': 4\n'<<': 5", "f.yaml")
        found = [(name, line_of(key), plain_value(value)) for name, key, value in entries(
            root, faults)]  # fmt: skip
        assert found == [("no", 1, 1), ("010", 2, 2), ("~", 3, 3), ("x y", 4, 4), ("<<", 5, 5)]
        assert faults.faults == []

    def test_faulty_entries_are_left_out_and_told(self) -> None:
        faults = FaultList("f.yaml")
        root = read_document("a: 1\na: 2\n[b]: 3\n<<: {c: 4}\nd: 5", "f.yaml")
        assert [name for name, _, _ in entries(root, faults)] == ["a", "d"]
        assert [fault.place for fault in faults.faults] == ["f.yaml:2", "f.yaml:3", "f.yaml:4"]
        with pytest.raises(SchemaError, match="Wrong"):
            faults.raise_if_any("Wrong.")

    def test_no_faults_raise_nothing(self) -> None:
        FaultList("f.yaml").raise_if_any("Wrong.")

    def test_a_mapping_is_told_from_all_else(self) -> None:
        faults = FaultList("f.yaml")
        inner = node("{a: 1}")
        assert mapping(inner, "it", faults) is inner
        assert mapping(node("[a]"), "it", faults) is None
        assert [str(fault) for fault in faults.faults] == [
            "f.yaml:1: it must be a mapping, a list was found."
        ]
