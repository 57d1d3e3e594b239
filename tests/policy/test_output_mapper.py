"""What action numbers mean."""

from pathlib import Path

import pytest

from policy_server.errors import UploadRejected
from policy_server.policy.output_mapper import OutputMapper, read_output_mapper

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def mapper_file(tmp_path: Path) -> Path:
    return tmp_path / "output_mapper.yaml"


def read(path: Path, text: str | bytes) -> OutputMapper:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_output_mapper(path)


def refusal(path: Path, text: str | bytes) -> str:
    with pytest.raises(UploadRejected) as caught:
        read(path, text)
    return str(caught.value)


class TestReading:
    @pytest.mark.parametrize(
        ("text", "meanings"),
        [
            ("0: up\n1: down\n", [{0: "up", 1: "down"}]),
            ("{1: down, 0: up}", [{0: "up", 1: "down"}]),
            ("- {0: up}\n- {0: left, 1: right}", [{0: "up"}, {0: "left", 1: "right"}]),
            ("[{0: only}]", [{0: "only"}]),
            ("'0': up", [{0: "up"}]),
            ("0: no\n1: yes\n2: off", [{0: "no", 1: "yes", 2: "off"}]),
            ("0: 1.50\n1: 0x10\n2: 2020-01-01", [{0: "1.50", 1: "0x10", 2: "2020-01-01"}]),
            ("0: null\n1: ~\n2: 'true'", [{0: "null", 1: "~", 2: "true"}]),
            ("0: größer \U0001f600\n", [{0: "größer \U0001f600"}]),
            ("0: move up # a note\n", [{0: "move up"}]),
            ("00: a\n1: b", [{0: "a", 1: "b"}]),
            ("0: &a stay\n1: *a", [{0: "stay", 1: "stay"}]),
        ],
    )
    def test_meanings_are_kept_as_written(
        self, text: str, meanings: list[dict[int, str]], mapper_file: Path
    ) -> None:
        assert list(read(mapper_file, text).meanings) == meanings

    @pytest.mark.parametrize(
        ("name", "meaning", "sizes"),
        [("lpoc", "move right", [5]), ("simple_stochastic_tuple", "go", [2, 3])],
    )
    def test_those_of_the_examples_are_read(
        self, name: str, meaning: str, sizes: list[int | None]
    ) -> None:
        mapper = read_output_mapper(EXAMPLES / name / "output_mapper.yaml")
        assert mapper.meaning(0, 1) == meaning
        assert mapper.faults(sizes) == []
        assert mapper.faults([*sizes[:-1], 6]) != []

    @pytest.mark.parametrize(
        ("text", "fragment"),
        [
            ("", "output_mapper.yaml:1: a mapping from action number to meaning"),
            ("{}", "output_mapper.yaml:1: a mapping"),
            ("[]", "output_mapper.yaml:1: a mapping"),
            ("up", "output_mapper.yaml:1: a mapping"),
            ("- {0: up}\n- right", "output_mapper.yaml:2: a mapping"),
            ("- {0: up}\n- {}", "output_mapper.yaml:2: a mapping"),
            ("0: up\n-1: down", "output_mapper.yaml:2: `-1` is not the number of an action"),
            ("0: up\n1.0: down", "output_mapper.yaml:2: `1.0` is not the number"),
            ("0: up\nup: down", "output_mapper.yaml:2: `up` is not the number"),
            ("0: up\n٣: down", "output_mapper.yaml:2: `٣` is not the number"),
            ("0: up\n²: down", "output_mapper.yaml:2: `²` is not the number"),
            ("0: up\n99999999999: down", "is not the number of an action"),
            ("0: up\n0: down", "output_mapper.yaml:2: `0` stands here a second time"),
            ("0: up\n00: down", "output_mapper.yaml:2: action 0 stands here a second time"),
            ("0: up\n1:", "output_mapper.yaml:2: action 1 needs a meaning"),
            ("0: up\n1: '  '", "output_mapper.yaml:2: action 1 needs a meaning"),
            ("0: up\n1: [a]", "output_mapper.yaml:2: action 1 needs a meaning"),
            ("0: up\n1: {a: b}", "output_mapper.yaml:2: action 1 needs a meaning"),
            ("0: up\n? [a]\n: b", "output_mapper.yaml:2: a name is wanted here"),
            ('0: up\n1: "\\ud800"', "output_mapper.yaml:2: the meaning of action 1 holds half"),
            ('0: "\\Uffffffff"', "is not YAML"),
            ("0: [", "is not YAML"),
            ("0: a\n---\n0: b", "is not YAML"),
            ("[" * 5000, "is not YAML: "),
            (b"\x80\x04\x95\xff\x00", "is not YAML"),
            (b"\x89PNG\r\n\x1a\n", "is not YAML"),
            (b"0: \x00", "is not YAML"),
        ],
    )
    def test_all_else_is_refused_with_its_line(
        self, text: str | bytes, fragment: str, mapper_file: Path
    ) -> None:
        assert fragment in refusal(mapper_file, text)

    def test_every_fault_is_told(self, mapper_file: Path) -> None:
        message = refusal(mapper_file, "- {0: a, 0: b, x: c}\n- {1: , -2: d}")
        assert message.count("output_mapper.yaml:1") == 2
        assert message.count("output_mapper.yaml:2") == 2


class TestMeaning:
    def test_without_a_mapper_numbers_speak_for_themselves(self) -> None:
        assert OutputMapper().meaning(3, 12) == "12"
        assert OutputMapper().faults([2, 3]) == []

    def test_each_head_has_its_own(self) -> None:
        mapper = OutputMapper([{0: "up", 1: "down"}, {0: "left", 1: "right"}])
        assert [mapper.meaning(0, 1), mapper.meaning(1, 0)] == ["down", "left"]

    @pytest.mark.parametrize(
        ("meanings", "sizes", "faults"),
        [
            ([{0: "a", 1: "b"}], [2], []),
            ([{0: "a", 1: "b", 2: "c"}], [None], []),
            (
                [{0: "a", 1: "b", 2: "c", 7: "d"}],
                [2],
                [
                    "the output mapper has a meaning for action 2, 7, and the policy has 2 "
                    "actions, 0 to 1: it was written for another policy."
                ],
            ),
            ([{0: "a"}, {0: "b", 1: "c"}], [1, 2], []),
            (
                [{1: "b"}],
                [3],
                ["the output mapper has no meaning for action 0, 2: the policy has 3 actions."],
            ),
            (
                [{0: "a"}, {0: "b"}],
                [2, 2],
                [
                    "the output mapper has no meaning for action of head 0 1: the policy has 2 "
                    "actions.",
                    "the output mapper has no meaning for action of head 1 1: the policy has 2 "
                    "actions.",
                ],
            ),
            (
                [{0: "a"}],
                [2, 2],
                [
                    "the output mapper speaks of 1 heads, the policy has 2: give a list of one "
                    "map for each head."
                ],
            ),
        ],
    )
    def test_faults_are_found_for_the_heads_of_a_policy(
        self, meanings: list[dict[int, str]], sizes: list[int | None], faults: list[str]
    ) -> None:
        assert OutputMapper(meanings).faults(sizes) == faults
