"""From observations to features."""

import json
import re
import sys
import textwrap
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from policy_server.contract.decoding import Decoder
from policy_server.contract.reading import read_schema
from policy_server.contract.schema import Observation
from policy_server.errors import ObservationError, PreprocessorFailed, UploadRejected
from policy_server.policy.features import narrowed
from policy_server.policy.preprocessor import SchemaPreprocessor, UploadedPreprocessor
from tests.support.policies import features_of, schema_features

SCHEMA = read_schema("""\
observations:
  z: {type: int}
  grid:
    type: list
    items: {type: "List[float]", min_items: 2, max_items: 2}
    min_items: 2
    max_items: 2
  on: {type: bool}
  mood: {type: str, enum: [calm, cross, asleep]}
  moods: {type: "List[str]", enum: [a, b], min_items: 2, max_items: 2, required: false}
  a: {type: float, required: false}
""")
WHOLE: Observation = {
    "a": 0.5,
    "moods": ["b", "a"],
    "mood": "cross",
    "on": True,
    "grid": [[1, 2.5], [3, 4]],
    "z": -7,
}


FLOATS = read_schema("observations: {a: {type: float}, b: {type: float}}")


class TestSchemaPreprocessor:
    def test_fields_come_in_the_schemas_order_flat_and_one_hot(self) -> None:
        features = schema_features(SCHEMA, WHOLE, {**WHOLE, "on": False})
        row = [-7, 1, 2.5, 3, 4, 1, 0, 1, 0, 0, 1, 1, 0, 0.5]
        assert features.dtype == np.float32
        np.testing.assert_array_equal(features, [row, [*row[:5], 0, *row[6:]]])

    def test_one_alone_has_the_features_that_it_has_among_others(self) -> None:
        alone = schema_features(SCHEMA, WHOLE)
        assert alone.dtype == np.float32
        np.testing.assert_array_equal(alone, schema_features(SCHEMA, WHOLE, WHOLE)[1:])

    @pytest.mark.parametrize("count", [1, 2])
    def test_an_absent_optional_field_counts_as_zeros(self, count: int) -> None:
        some = {name: WHOLE[name] for name in SCHEMA.required}
        features = schema_features(SCHEMA, *[some] * count)
        row = [-7, 1, 2.5, 3, 4, 1, 0, 1, 0, 0, 0, 0, 0, 0]
        np.testing.assert_array_equal(features, [row] * count)

    def test_no_observations_have_no_features(self) -> None:
        assert schema_features(SCHEMA).shape == (0, 14)

    def test_arrays_that_vary_are_refused_by_name(self) -> None:
        schema = read_schema(
            "observations: {a: {type: int}, b: {type: 'List[int]'}, "
            "c: {type: 'List[int]', min_items: 1, max_items: 2}, "
            "d: {type: 'List[int]', min_items: 2, max_items: 2}}"
        )
        with pytest.raises(UploadRejected, match=r"The arrays b, c have no fixed size"):
            SchemaPreprocessor(schema)

    @pytest.mark.parametrize("number", [1e39, -1e300, 10**300, -(10**300)])
    def test_numbers_beyond_float32_are_the_clients_fault(self, number: float) -> None:
        with pytest.raises(ObservationError, match="too large for the network") as caught:
            schema_features(FLOATS, {"a": number, "b": 0})
        assert [fault.place for fault in caught.value.faults] == [""]
        with pytest.raises(ObservationError, match="too large for the network") as caught:
            schema_features(FLOATS, {"a": 0, "b": 0}, {"a": 0, "b": number}, {"a": 0, "b": 0})
        assert [fault.place for fault in caught.value.faults] == ["/observations/1"]

    @pytest.mark.parametrize("number", [10**400, -(10**400)])
    def test_numbers_beyond_float64_become_no_record(self, number: int) -> None:
        with pytest.raises(msgspec.ValidationError, match="out of range"):
            schema_features(FLOATS, {"a": number, "b": 0})
        with pytest.raises(msgspec.ValidationError, match="out of range"):
            Decoder(FLOATS).decode(b'{"a": %d, "b": 0}' % number)

    @pytest.mark.parametrize("sign", [1, -1])
    @pytest.mark.parametrize("count", [1, 2])
    def test_the_largest_float32_is_a_feature(self, sign: int, count: int) -> None:
        largest = sign * float(np.finfo(np.float32).max)
        features = schema_features(FLOATS, *[{"a": largest, "b": largest}] * count)
        np.testing.assert_array_equal(features, [[largest, largest]] * count)


def raised_for(*rows: list[float]) -> ObservationError:
    numbers: NDArray[np.float64] = np.array(rows)
    with pytest.raises(ObservationError) as caught:
        narrowed(numbers).raise_for(0, len(rows))
    return caught.value


class TestNarrowed:
    def test_every_faulty_observation_is_named(self) -> None:
        error = raised_for([0.0, 1.0], [1e39, 0.0], [2.0, 3.0], [np.inf, np.nan])
        assert [fault.place for fault in error.faults] == ["/observations/1", "/observations/3"]

    def test_one_alone_has_no_number(self) -> None:
        [fault] = raised_for([1e39]).faults
        assert fault.place == ""
        assert "0" not in fault.detail

    def test_opposite_infinities_are_no_sum_to_be_trusted(self) -> None:
        assert len(raised_for([1e39, -1e39], [-1e39, 1e39]).faults) == 2

    def test_only_the_rows_asked_for_are_faulty(self) -> None:
        outcome = narrowed(np.array([[0.0], [1e39], [1.0]]), {2: "why"})
        assert outcome.features.dtype == np.float32
        outcome.raise_for(0, 1)
        with pytest.raises(ObservationError) as caught:
            outcome.raise_for(1, 2)
        assert [fault.place for fault in caught.value.faults] == [""]
        with pytest.raises(PreprocessorFailed) as failed:
            outcome.raise_for(1, 3)
        assert failed.value.cause == "why"


class TestDefaults:
    DECODER = Decoder(
        read_schema(
            "observations: {a: {type: int, default: 3, required: false}, "
            "b: {type: int, required: false}, c: {type: bool, default: false, required: false}}"
        )
    )

    def completed(self, observation: Observation) -> Observation:
        """What uploaded code gets, however the observation came."""
        decoded = self.DECODER.to_dict(self.DECODER.decode(json.dumps(observation).encode()))
        converted = self.DECODER.to_dict(self.DECODER.convert(observation))
        assert list(converted.items()) == list(decoded.items())
        return decoded

    def test_defaults_stand_in_and_all_else_stays_absent(self) -> None:
        assert self.completed({}) == {"a": 3, "c": False}
        whole: Observation = {"c": True, "a": 0, "b": 1}
        assert self.completed(whole) == {"a": 0, "b": 1, "c": True}

    def test_the_order_is_that_of_the_schema(self) -> None:
        assert list(self.completed({"c": True, "b": 1})) == ["a", "b", "c"]


class Folder:
    """Writes preprocessors and loads them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, code: str | bytes, name: str = "one") -> Path:
        (self.path / name).mkdir()
        file = self.path / name / "preprocessor.py"
        file.write_bytes(code if isinstance(code, bytes) else textwrap.dedent(code).encode())
        return file

    def load(self, code: str | bytes, name: str = "one") -> UploadedPreprocessor:
        return UploadedPreprocessor(self.write(code, name), dict)

    def returning(self, expression: str) -> UploadedPreprocessor:
        return self.load(f"import numpy as np\ndef preprocess(observation):\n  return {expression}")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def failure(preprocessor: UploadedPreprocessor, *observations: Observation) -> str:
    with pytest.raises(PreprocessorFailed) as caught:
        features_of(preprocessor, observations or [{"x": 1}])
    assert str(caught.value) == "The preprocessor of the active version failed on this observation."
    return caught.value.cause


class TestReturnedNumbers:
    @pytest.mark.parametrize(
        ("expression", "row"),
        [
            ("[observation['x'], 2.5]", [1, 2.5]),
            ("(1, 2)", [1, 2]),
            ("np.array([1.5, 2])", [1.5, 2]),
            ("np.array([[1, 2], [3, 4]], dtype=np.uint8)", [1, 2, 3, 4]),
            ("[[1, 2], [3, [4][0]]]", [1, 2, 3, 4]),
            ("3", [3]),
            ("np.float32(0.5)", [0.5]),
            ("[np.float32(0.5), 1, True]", [0.5, 1, 1]),
            ("[True, False]", [1, 0]),
            ("[2**70, 1]", [2.0**70, 1]),
            ("[2**70, np.int8(1), np.float32(2), True, np.bool_(True)]", [2.0**70, 1, 2, 1, 1]),
            ("range(3)", [0, 1, 2]),
            ("np.array([1, 2], dtype=object)", [1, 2]),
            ("[np.array([1, 2]), np.array([3, 4])]", [1, 2, 3, 4]),
            ("np.eye(2).T[::-1]", [0, 1, 1, 0]),
        ],
    )
    def test_numbers_in_any_form_are_features(
        self, expression: str, row: list[float], folder: Folder
    ) -> None:
        features = features_of(folder.returning(expression), [{"x": 1}])
        assert features.dtype == np.float32
        np.testing.assert_array_equal(features, np.array([row], dtype=np.float32))

    @pytest.mark.parametrize(
        ("expression", "cause"),
        [
            ("None", "must return numbers, it returned NoneType"),
            ("[1, None]", "must return numbers, it returned list: [1, None]"),
            ("'12'", "must return numbers, it returned str"),
            ("['1', 2]", "must return numbers"),
            ("[2**70, '1']", "must return numbers"),
            ("b'12'", "must return numbers"),
            ("{'a': 1}", "must return numbers, it returned dict"),
            ("{1, 2}", "must return numbers, it returned set"),
            ("(x for x in [1])", "must return numbers, it returned generator"),
            ("object()", "must return numbers, it returned object"),
            ("[1j]", "must return numbers"),
            ("np.array(['2020-01-01'], dtype='datetime64[D]')", "must return numbers"),
            ("np.array([1], dtype='timedelta64[s]')", "must return numbers"),
            ("preprocess", "must return numbers, it returned function"),
            ("[1.0, float('nan')]", "returned nan as feature 1"),
            ("[float('inf'), 0]", "returned inf as feature 0"),
            ("[float('inf'), float('-inf')]", "returned inf as feature 0"),
            ("[2**70, float('-inf')]", "returned -inf as feature 1"),
            ("[[1, 2], [3]]", "lists of unequal length"),
            ("[[1, 2], 3]", "lists of unequal length"),
            ("'x' * 10**6", "must return numbers"),
        ],
    )
    def test_anything_else_is_a_failure(self, expression: str, cause: str, folder: Folder) -> None:
        found = failure(folder.returning(expression))
        assert cause in found
        assert len(found) < 300

    @pytest.mark.parametrize(
        "expression", ["1e39", "-1e300", "10**400", "[0, -10**400]", "[1e308] * 9", "[10**400] * 9"]
    )
    def test_numbers_beyond_float32_are_the_observations_fault(
        self, expression: str, folder: Folder
    ) -> None:
        with pytest.raises(ObservationError, match="too large for the network"):
            features_of(folder.returning(expression), [{"x": 1}])

    def test_widths_that_differ_are_both_named(self, folder: Folder) -> None:
        preprocessor = folder.returning("[0] * observation['x']")
        cause = failure(preprocessor, {"x": 2}, {"x": 5}, {"x": 2})
        assert "returned 2 numbers for one observation and 5 for another" in cause

    def test_no_observations_have_no_features(self, folder: Folder) -> None:
        assert features_of(folder.returning("[1, 2]"), []).shape == (0, 0)

    def test_objects_that_fail_when_they_are_looked_at(self, folder: Folder) -> None:
        preprocessor = folder.load("""\
            class Trap:
                def __repr__(self):
                    raise RuntimeError("no picture")

            def preprocess(observation):
                return Trap()
        """)
        assert failure(preprocessor) == "RuntimeError: no picture (preprocessor.py, line 3)"


class TestFailures:
    @pytest.mark.parametrize(
        ("statement", "cause"),
        [
            ("return 1 / 0", "ZeroDivisionError: division by zero (preprocessor.py, line 5)"),
            ("return observation['y']", "KeyError: 'y' (preprocessor.py, line 5)"),
            ("raise SystemExit(3)", "SystemExit: 3 (preprocessor.py, line 5)"),
            ("sys.exit()", "SystemExit:  (preprocessor.py, line 5)"),
            ("raise GeneratorExit('g')", "GeneratorExit: g (preprocessor.py, line 5)"),
            ("raise Mute()", "Mute: (it has no message) (preprocessor.py, line 5)"),
            ("raise ValueError('a\\n  b')", "ValueError: a b (preprocessor.py, line 5)"),
            ("np.zeros(3).reshape(2)", "(preprocessor.py, line 5)"),
            ("return eval('1 +')", "(preprocessor.py, line 5)"),
            ("return exec('raise ValueError(7)')", "ValueError: 7 (preprocessor.py, line 5)"),
        ],
    )
    def test_the_cause_has_the_uploaded_files_line(
        self, statement: str, cause: str, folder: Folder
    ) -> None:
        preprocessor = folder.load(
            "import sys; import numpy as np\n"
            "class Mute(Exception):\n  def __str__(self): raise self\n"
            f"def preprocess(observation):\n  {statement}\n"
        )
        found = failure(preprocessor)
        assert found.endswith(cause)
        assert "\n" not in found

    def test_recursion_without_end(self, folder: Folder) -> None:
        preprocessor = folder.load("def preprocess(o):\n  return preprocess(o)\n")
        assert re.fullmatch(
            r"RecursionError: maximum recursion depth .*\(preprocessor\.py, line 2\)",
            failure(preprocessor),
        )

    def test_a_message_without_end_is_cut(self, folder: Folder) -> None:
        preprocessor = folder.load("def preprocess(o):\n  raise ValueError('x' * 10**6)\n")
        assert len(failure(preprocessor)) < 600

    @pytest.mark.parametrize("arguments", ["", "a, b", "*, a"])
    def test_wrong_arguments_name_no_line_of_ours(self, arguments: str, folder: Folder) -> None:
        cause = failure(folder.load(f"def preprocess({arguments}):\n  return [1]\n"))
        assert cause.startswith("TypeError: preprocess() ")
        assert "line" not in cause


class TestLoading:
    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("x = (", "SyntaxError: '(' was never closed (preprocessor.py, line 1)"),
            ("x = 1\n  y = 2", "IndentationError: unexpected indent (preprocessor.py, line 2)"),
            ("\nraise ValueError('no')", "ValueError: no (preprocessor.py, line 2)"),
            ("import sys\nsys.exit(0)", "SystemExit: 0 (preprocessor.py, line 2)"),
            ("import not_a_module_of_anyone", "No module named 'not_a_module_of_anyone'"),
            (b"\xff\xfe", "SyntaxError"),
            ("x = 'ä'".encode("utf-16"), "text in UTF-16"),
            ("x = 'ä'".encode("cp1252"), "line 1 has the byte 0xe4"),
            (b"x = 1\x00", "null bytes"),
            ("(" * 5000, "SyntaxError"),
            ("raise GeneratorExit", "GeneratorExit:  (preprocessor.py, line 1)"),
        ],
    )
    def test_code_that_does_not_run_is_refused(
        self, code: str | bytes, reason: str, folder: Folder
    ) -> None:
        with pytest.raises(UploadRejected, match=r"^The preprocessor does not load: ") as caught:
            folder.load(code)
        assert reason in str(caught.value)

    @pytest.mark.parametrize("code", ["", "def process(o): ...", "preprocess = 3"])
    def test_a_file_without_the_function_is_refused(self, code: str, folder: Folder) -> None:
        with pytest.raises(UploadRejected, match="has no function `preprocess"):
            folder.load(code)

    def test_dataclasses_and_enums_of_the_file_work(self, folder: Folder) -> None:
        preprocessor = folder.load("""\
            from __future__ import annotations
            import enum
            from dataclasses import dataclass, field

            class Mood(enum.IntEnum):
                CALM = 4

            @dataclass(frozen=True)
            class Point:
                x: int
                rest: list[int] = field(default_factory=list)

            def preprocess(observation: dict[str, int]) -> list[int]:
                return [Point(observation["x"]).x, Mood.CALM]
        """)
        np.testing.assert_array_equal(features_of(preprocessor, [{"x": 3}]), [[3, 4]])

    def test_versions_side_by_side_keep_their_own_globals(self, folder: Folder) -> None:
        code = "count = {0}\ndef preprocess(o):\n  global count\n  count += 1\n  return [count]\n"
        one, two = folder.load(code.format(0), "a"), folder.load(code.format(100), "b")
        found = [float(features_of(each, [{}])[0, 0]) for each in (one, two, one, two, one)]
        assert found == [1, 101, 2, 102, 3]

    def test_nothing_appears_beside_the_file(self, folder: Folder) -> None:
        features_of(folder.returning("[1]"), [{}])
        assert [path.name for path in folder.path.rglob("*")] == ["one", "preprocessor.py"]

    def test_what_is_no_longer_used_leaves_no_module_behind(self, folder: Folder) -> None:
        def modules() -> set[str]:
            return {name for name in sys.modules if name.startswith("uploaded_preprocessor")}

        before = modules()
        preprocessor = folder.returning("[1]")
        assert len(modules() - before) == 1
        del preprocessor
        assert modules() == before


class TestIsolation:
    CODE = """\
        def preprocess(observation):
            observation["grid"][0][0] = 99
            observation["grid"].append([7])
            observation["x"] = 5
            del observation["y"]
            return [1]
    """

    def test_code_that_changes_its_argument_changes_nothing_else(self, folder: Folder) -> None:
        sizes = "min_items: 2, max_items: 2"
        grid = f"{{type: list, {sizes}, items: {{type: 'List[int]', {sizes}}}}}"
        decoder = Decoder(
            read_schema(f"observations: {{grid: {grid}, x: {{type: int}}, y: {{type: int}}}}")
        )
        preprocessor = UploadedPreprocessor(folder.write(self.CODE), decoder.to_dict)
        observation: Observation = {"grid": [[1, 2], [3, 4]], "x": 1, "y": 2}
        record = decoder.convert(observation)
        features_of(preprocessor, [record, record])
        assert decoder.to_dict(record) == observation

    def test_a_default_serves_every_request_unchanged(self, folder: Folder) -> None:
        schema = read_schema(
            "observations: {x: {type: 'List[int]', default: [1, 2], required: false}}"
        )
        preprocessor = folder.load("""\
            def preprocess(observation):
                observation["x"].append(1)
                return [len(observation["x"])]
        """)
        decoder = Decoder(schema)
        records = [decoder.convert({}) for _ in range(3)]
        found = [features_of(preprocessor, [decoder.to_dict(each)])[0, 0] for each in records]
        assert found == [3, 3, 3]
