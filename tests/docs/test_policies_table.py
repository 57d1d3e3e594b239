"""Every row of the table of frameworks names the tests that run it, and these are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = {path.stem: path for path in (ROOT / "tests").rglob("test_*.py")}
FILES = {path.name for path in (ROOT / "tests" / "files").rglob("*") if path.is_file()}
NAMED = re.compile(r"`(test_\w+)`: ((?:`[\w.-]+`(?:, )?)+)")
FRAMEWORKS = (
    *("RLlib with TensorFlow", "RLlib with Torch", "Stable-Baselines3: PPO", "Keras"),
    *("Stable-Baselines3, as ONNX", "Actors of SAC, TD3", "TensorFlow Lite", "TF-Agents"),
    *("Unity ML-Agents", "exported/policy.onnx", "exported/policy.pt", "torch.export"),
    *("CleanRL", "Godot RL"),
)
"""What is trained with, which the table must have."""


def table() -> list[list[str]]:
    """The cells of each row."""
    text = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")
    _, _, behind = text.partition("| from | upload | declare | proven | run by |\n")
    rows = behind.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def missing(cell: str) -> list[str]:
    """What of the tests that a cell names is not there."""
    named = NAMED.findall(cell)
    wrong = [] if named else ["no test is named"]
    for test, cases in named:
        if test not in TESTS:
            wrong.append(test)
            continue
        text = TESTS[test].read_text(encoding="utf-8")
        for case in re.findall(r"`([^`]+)`", cases):
            written = f'"{case}"' in text or f"def {case}(" in text
            if not written and not (case in FILES and "tests/files" in text):
                wrong.append(f"{test}: {case}")
    return wrong


def test_every_row_is_run_by_a_test() -> None:
    rows = table()
    assert rows
    assert {row[0]: missing(row[-1]) for row in rows if len(row) != 5 or missing(row[-1])} == {}


def test_every_framework_has_a_row() -> None:
    rows = [" ".join(row[:2]) for row in table()]
    assert [each for each in FRAMEWORKS if not any(each in row for row in rows)] == []


def test_a_row_without_a_test_is_found() -> None:
    assert missing("by hand")
    assert missing("`test_wild`: `no-such-policy`")
    assert missing("`test_nowhere`: `isaac-ogre`")
    assert missing("`test_torch_programs`: `none.pt`")
    assert not missing("`test_torch_programs`: `legged_gym.pt`; `test_wild`: `isaac-ogre`")
