"""A file that cannot be served is refused with every fault, its line and its remedy."""

from pathlib import Path

import pytest

from policy_server.contract.reading import read_schema
from policy_server.errors import UploadRejected
from policy_server.policy.preprocessing.declaration import SHOWN_FEATURES, SHOWN_LINES
from policy_server.policy.preprocessing.reading import Reader, read_declaration

SCHEMA = read_schema("""\
observations:
  speed: {type: float}
  gear: {type: int, minimum: 0, maximum: 5}
  wide: {type: int, minimum: 0, maximum: 5000}
  open: {type: int}
  mode: {type: str, enum: [drive, wait]}
  rays: {type: "List[float]", min_items: 3, max_items: 3}
  some: {type: "List[float]", max_items: 3}
  late: {type: float, required: false}
""")
OTHERS = "speed, gear, wide, open, mode, rays, some, late are."
NORMALISE = "`normalise` of `rays`"


def faults_of(text: str | bytes, folder: Path) -> list[tuple[str, str]]:
    file = folder / "uploaded"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UploadRejected) as caught:
        read_declaration(file, SCHEMA)
    return [(fault.place, fault.detail) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("field: sped", "`sped` is no field of the schema: do you mean `speed`?"),
        ("field: xyz", f"`xyz` is no field of the schema: {OTHERS}"),
        ("field: [speed]", "is no field of the schema: a name is."),
        ("scale: 1", "`field`, the name of a field of the schema, is missing."),
        ("speed", "each of `features` must be a mapping, `speed` was found."),
        ("{field: speed, normalize: 1}", "`normalize` is not known here: do you mean `normalise`?"),
        ("{field: speed, onehot: true}", "`onehot` is not known here: do you mean `one_hot`?"),
        ("{field: rays, flatten: true}", "`flatten` needs no word: an array makes its numbers"),
        ("{field: speed, scale: 1, scale: 2}", "`scale` stands here a second time"),
        ("{field: speed, clip: 1, scale: 2}", "`scale` is applied before `clip`, and stands below"),
        ("{field: speed, offset: 1, scale: 2}", "the words stand in their order, one_hot, scale,"),
        ("{field: speed, scale: fast}", "`scale` of `speed` is a finite number."),
        ("{field: speed, scale: true}", "`scale` of `speed` is a finite number."),
        ("{field: speed, offset: .nan}", "`offset` of `speed` is a finite number."),
        ("{field: speed, offset: .inf}", "`offset` of `speed` is a finite number."),
        ("{field: rays, offset: [1, 2, x]}", "is a finite number, or a list of 3 of them."),
        ("{field: rays, offset: [1, 2]}", "`offset` of `rays` has 2 numbers, and there are 3 to"),
        ("{field: speed, clip: [1, 2, 3]}", "`clip` of `speed` is [low, high], or one number c"),
        ("{field: speed, clip: [2, 1]}", "leaves one number at most: 2 is not below 1."),
        ("{field: speed, clip: -3}", "leaves one number at most: 3 is not below -3."),
        ("field: mode", "`mode` is text: `one_hot: true` makes a feature of each of its values."),
        ("{field: mode, one_hot: false}", "`mode` is text"),
        ("{field: gear, one_hot: maybe}", "`one_hot` of `gear` is true or false."),
        ("{field: speed, one_hot: true}", "the values of `speed` cannot be counted"),
        ("{field: open, one_hot: true}", "an integer with `minimum` and `maximum`."),
        ("{field: wide, one_hot: true}", "`wide` has more than 1,024 values, too many for"),
        ("field: some", "`some` has no fixed size, so it makes no fixed number of features"),
        ("{field: rays, normalise: 3}", f"{NORMALISE} must be a mapping"),
        ("{field: rays, normalise: {mean: 0}}", f"{NORMALISE} needs `variance` or `std`, one of"),
        ("{field: rays, normalise: {std: 1}}", f"{NORMALISE} needs `mean`."),
        (
            "{field: rays, normalise: {mean: 0, std: 1, variance: 1}}",
            f"{NORMALISE} needs `variance` or `std`, one of them.",
        ),
        (
            "{field: rays, normalise: {mean: [1, 2], std: 1}}",
            f"`mean` of {NORMALISE} has 2 numbers, and there are 3 to change.",
        ),
        (
            "{field: rays, normalise: {mean: 0, variance: [1, 1, -1]}}",
            f"`variance` of {NORMALISE} is below 0 at number 2, counted from 0.",
        ),
        (
            "{field: rays, normalise: {mean: 0, std: [1, 0, 1]}}",
            f"`std` of {NORMALISE} is 0 at number 1, counted from 0, and 0 divides nothing",
        ),
        (
            "{field: rays, normalise: {mean: 0, std: 1, epsilon: -1}}",
            f"`epsilon` of {NORMALISE} is a number, 0 or above.",
        ),
        (
            "{field: rays, normalise: {mean: 0, std: 1, clipp: 1}}",
            "`clipp` is not known here: do you mean `clip`?",
        ),
        (
            "{field: rays, normalise: {mean: 0, std: 1, framework: sb3}}",
            f"`framework` of {NORMALISE} is one of stable_baselines3, rllib, rsl_rl.",
        ),
        (
            "{field: rays, normalise: {mean: 0, std: 1, framework: rllib}}",
            "does not say whether it clips: `clip: none` for `observation_filter: MeanStdFilter`",
        ),
        (
            "{field: rays, normalise: {mean: 0, std: 1, file: s.npz}}",
            "`file`: an upload is one file.",
        ),
    ],
)
def test_each_fault_is_named_with_its_line(entry: str, told: str, tmp_path: Path) -> None:
    faults = faults_of(f"# mine\nfeatures:\n  - {entry}\n", tmp_path)
    assert [place for place, detail in faults if told in detail] == ["preprocessing.yaml:3"], faults


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("feature:\n  - field: x\n", 1, "`feature` is not known here: do you mean `features`?"),
        ("---\n{}", 2, "`features`, the list of what the network takes, is missing."),
        ("features:\n", 1, "`features` is a list, each with a `field`, and not empty."),
        ("features: []", 1, "`features` is a list, each with a `field`, and not empty."),
        ("features: {speed: 1}", 1, "`features` is a list, each with a `field`, and not empty."),
        ("features: [", 1, "not YAML"),
        ("features:\n  - &a {field: speed}\n  - *a\n", 3, "aliases (*) are not read"),
        ("normalise: {mean: 0, std: 1}", 1, "`some` has no fixed size"),
        (
            "features: [{field: rays}, {field: speed}]\nnormalise: {mean: [1, 2, 3], std: 1}",
            2,
            "`mean` of `normalise` has 3 numbers, and there are 4 to change.",
        ),
        ("features: [{field: rays}]\nfeatures: [{field: rays}]", 2, "a second time"),
    ],
)
def test_faults_of_the_whole_are_named_with_their_line(
    text: str, line: int, told: str, tmp_path: Path
) -> None:
    faults = faults_of(text, tmp_path)
    assert f"preprocessing.yaml:{line}" in [at for at, detail in faults if told in detail], faults


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    text = "features:\n  - field: sped\n  - field: gear\n    scale: x\n  - field: mode\nrest: 1\n"
    places = [place for place, _ in faults_of(text, tmp_path)]
    assert sorted(places) == [f"preprocessing.yaml:{line}" for line in (2, 4, 5, 6)]


def test_code_that_begins_like_a_declaration_is_told_what_it_is(tmp_path: Path) -> None:
    code = "features: list = []\ndef preprocess(observation):\n    return [1.0]\n"
    ((place, detail),) = faults_of(code, tmp_path)
    assert place == "preprocessing.yaml:1"
    assert "is Python that defines `preprocess`: which is it?" in detail


def test_other_encodings_are_named(tmp_path: Path) -> None:
    ((_, detail),) = faults_of("features: [{field: é}]".encode("latin-1"), tmp_path)
    assert "it is not UTF-8: line 1 has the byte 0xe9" in detail


def test_too_many_features_are_counted(tmp_path: Path) -> None:
    schema = read_schema(
        'observations: {x: {type: "List[float]", min_items: 9999, max_items: 9999}}'
    )
    file = tmp_path / "uploaded"
    file.write_text("features:\n" + "  - field: x\n" * 11)
    with pytest.raises(UploadRejected, match=r"109,989 features are declared, 100,000 may be"):
        read_declaration(file, schema)


def lines_of(text: str) -> list[str]:
    return Reader(SCHEMA).read(text).in_lines()


def test_every_feature_is_shown_by_name() -> None:
    lines = lines_of("""
features:
  - {field: speed, scale: 0.01, offset: 0.5, clip: [-1, 1]}
  - {field: mode, one_hot: true}
  - {field: rays, offset: -2, normalise: {mean: [0, 1, 2], std: 4, clip: 10}}
  - {field: late}
""")
    assert lines == [
        "0: speed * 0.01 + 0.5, clipped to [-1, 1]",
        '1: mode = "drive"',
        '2: mode = "wait"',
        "3: (rays[0] - 2) / 4, clipped to [-10, 10]",
        "4: (rays[1] - 2 - 1) / 4, clipped to [-10, 10]",
        "5: (rays[2] - 2 - 2) / 4, clipped to [-10, 10]",
        "6: late",
        "no feature is made of `gear`, `wide`, `open`, `some`",
        "where it is not sent, 0 stands for `late`",
    ]


def test_masks_make_no_features_unless_they_are_listed() -> None:
    schema = read_schema("""
observations:
  speed: {type: float}
  may: {type: "List[bool]", min_items: 2, max_items: 2, mask_of: steer}
actions: {steer: {type: str, enum: [left, right]}}
""")
    for text in ("normalise: {mean: 0, std: 2}", "features: [{field: speed}]"):
        declaration = Reader(schema).read(text)
        assert (declaration.width, declaration.remarks) == (1, ())
    listed = Reader(schema).read("features: [{field: may}, {field: speed}]").in_lines()
    assert listed == ["0: may[0]", "1: may[1]", "2: speed"]


def test_what_is_done_to_all_is_shown_last() -> None:
    lines = lines_of("features: [{field: speed}]\nnormalise: {mean: 3, std: 2}")
    assert lines[0] == "0: speed; of all: (x - 3) / 2"


def test_a_great_many_features_stay_readable() -> None:
    """Twenty thousand in two entries, and two hundred in as many."""
    wide = 'observations: {x: {type: "List[float]", min_items: 9999, max_items: 9999}}'
    declaration = Reader(read_schema(wide)).read("features: [{field: x}, {field: x}]")
    assert declaration.in_lines() == [
        "0: x[0]",
        "1 to 9997: likewise",
        "9998: x[9998]",
        "9999: x[0]",
        "10000 to 19996: likewise",
        "19997: x[9998]",
    ]
    assert declaration.width > SHOWN_FEATURES
    lines = lines_of("features:\n" + "  - field: speed\n" * 200)
    assert len(lines) == SHOWN_LINES + 2
    assert lines[SHOWN_LINES] == f"and {200 - SHOWN_LINES} lines more"
