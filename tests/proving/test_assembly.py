"""Parts are checked with each other and with the contract; what does not fit says why."""

from pathlib import Path

import numpy as np
import pytest

from policy_server.proving.observed import OBSERVATIONS
from policy_server.proving.report import BuildReport
from policy_server.version.parts import Part
from tests.proving.conftest import Candidate, CandidateOf, detail
from tests.support.contracts import contract_of
from tests.support.networks import linear_kernel, linear_onnx
from tests.support.saved_models import categorical, save, weights

MAPPER = "{0: up, 1: down, 2: left, 3: right}"


def takes(count: int) -> str:
    """A preprocessor that makes so many features."""
    return f"def preprocess(observation):\n    return (observation['x'] * {count})[:{count}]\n"


def failed(report: BuildReport) -> list[str]:
    return [check.name for check in report.checks if not check.passed]


def contents(folder: Path) -> dict[Path, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_whole_candidate_is_ready_and_says_what_was_checked(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(contract_of(), model=linear_onnx(3, 4), output_mapper=MAPPER)
    report = candidate.assemble()
    assert report.ready
    assert failed(report) == []
    names = [check.name for check in report.checks]
    assert names == [
        "model",
        "output mapper",
        "preprocessor",
        "width",
        "rows",
        "engine",
        "meanings",
        "decisions",
        "speed",
    ]
    assert f"of each of {OBSERVATIONS} random valid" in detail(report, "preprocessor")
    assert detail(report, "width") == "the schema makes 3 features, the network takes 3"
    timing = candidate.network.timing
    assert all(0 < seconds < 1 for seconds in (*timing.runs, timing.preprocessor_seconds))
    assert f"takes {timing.runs[0] * 1e6:.0f} us for 1 row" in detail(report, "speed")


def test_the_mean_probability_is_that_of_the_networks_decisions(candidate_of: CandidateOf) -> None:
    """Of a uniform policy over four actions, each has probability 0.25."""
    uniform = save_onnx_zeros()
    report = candidate_of(contract_of(), model=uniform).assemble()
    assert detail(report, "decisions").endswith("median probability of the actions 0.25")


def save_onnx_zeros() -> bytes:
    content = linear_onnx(3, 4)
    return content.replace(linear_kernel(3, 4).tobytes(), np.zeros((3, 4), np.float32).tobytes())


def test_widths_that_differ_are_told_with_both_numbers(candidate_of: CandidateOf) -> None:
    alone = candidate_of(contract_of(), model=linear_onnx(5, 4)).assemble()
    assert (alone.missing, alone.rejected) == ([Part.PREPROCESSOR], None)
    expected = "the schema makes 3 features, the network takes 5: upload a preprocessor that fits"
    assert detail(alone, "width") == expected
    both = candidate_of(contract_of(), model=linear_onnx(5, 4), preprocessor=takes(6))
    assert (both.assemble().rejected or "").startswith(
        "The preprocessor makes 6 features, the network takes 5"
    )
    assert "belongs to a new model" not in (both.assemble().rejected or "")


def test_the_later_part_is_to_blame(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(contract_of(), model=linear_onnx(3, 4))
    assert candidate.assemble().ready
    candidate.put(Part.PREPROCESSOR, takes(7))
    late = candidate.assemble(Part.PREPROCESSOR)
    assert "makes 7 features, the network takes 3" in (late.rejected or "")
    assert "if it belongs to a new model, upload that first" in (late.rejected or "")
    new_model = candidate.assemble(Part.MODEL)
    assert (new_model.missing, new_model.rejected) == ([Part.PREPROCESSOR], None)


def test_arrays_of_no_fixed_size_need_a_preprocessor(candidate_of: CandidateOf) -> None:
    report = candidate_of(contract_of(varying=True), model=linear_onnx(3, 4)).assemble()
    assert report.missing == [Part.PREPROCESSOR]
    assert "x" in detail(report, "preprocessor")
    fixed = "def preprocess(observation):\n    return (observation['x'] + [0, 0, 0])[:3]\n"
    candidate = candidate_of(contract_of(varying=True), model=linear_onnx(3, 4), preprocessor=fixed)
    assert candidate.assemble().ready


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def preprocess(", "SyntaxError"),
        ("import no_such_module", "no_such_module"),
        ("x = 1", "no function `preprocess"),
        ("def preprocess(o):\n    return o['no']", "KeyError: 'no' (preprocessor.py, line 2)"),
        ("def preprocess(o):\n    return 'text'", "must return numbers"),
        ("def preprocess(o):\n    return None", "must return numbers"),
        ("def preprocess(o):\n    return [float('nan')] * 3", "nan"),
        ("def preprocess(o):\n    return [1e300] * 3", "too large for the network"),
        ("def preprocess(o):\n    return [0] * (1 + (o['x'][0] > 0))", "for one observation and"),
        ("import sys\ndef preprocess(o):\n    sys.exit(1)", "SystemExit"),
        ("n = []\ndef preprocess(o):\n    n.append(0)\n    return [1 / (100 - len(n))] * 3",
         "ZeroDivisionError"),
    ],
)  # fmt: skip
def test_preprocessors_that_cannot_serve_are_rejected_with_their_own_words(
    candidate_of: CandidateOf, code: str, told: str
) -> None:
    report = candidate_of(contract_of(), model=linear_onnx(3, 4), preprocessor=code).assemble()
    assert told in (report.rejected or "")


@pytest.mark.parametrize(
    ("mapper", "told"),
    [
        ("{0: a, 1: b, 2: c}", "no meaning for action 3: the policy has 4 actions"),
        ("{1: b, 3: c}", "no meaning for action 0, 2"),
        ("[{0: a, 1: b}, {0: c, 1: d}]", "speaks of 2 heads, the policy has 1"),
        ("just text", "mapping"),
        ("{0: a", "not YAML"),
    ],
)
def test_mappers_that_do_not_fit_are_rejected(
    candidate_of: CandidateOf, mapper: str, told: str
) -> None:
    report = candidate_of(contract_of(), model=linear_onnx(3, 4), output_mapper=mapper).assemble()
    assert told in (report.rejected or "")


def test_a_new_model_puts_a_mapper_that_does_not_fit_aside(candidate_of: CandidateOf) -> None:
    candidate = candidate_of(contract_of(), model=linear_onnx(3, 6), output_mapper=MAPPER)
    report = candidate.assemble(Part.MODEL)
    assert (report.missing, report.rejected) == ([Part.OUTPUT_MAPPER], None)
    assert "no meaning for action 4, 5" in detail(report, "meanings")


def test_continuous_actions_take_no_mapper(candidate_of: CandidateOf) -> None:
    model = linear_onnx(3, 4, output="mean_log_std")
    contract = contract_of(discrete=False)
    assert candidate_of(contract, model=model).assemble().ready
    report = candidate_of(contract, model=model, output_mapper=MAPPER).assemble()
    assert "takes no output mapper" in (report.rejected or "")


def test_a_mean_without_a_deviation_is_rejected(candidate_of: CandidateOf) -> None:
    model = linear_onnx(3, 5, output="mean_log_std")
    report = candidate_of(contract_of(discrete=False), model=model).assemble()
    assert "5 numbers" in (report.rejected or "")
    assert "log standard deviation" in (report.rejected or "")


def test_an_older_model_is_used_as_it_lies_and_not_written_to(candidate_of: CandidateOf) -> None:
    """What was proven once is not made anew, so that it stays what was proven."""
    candidate = candidate_of(contract_of(), model=linear_onnx(3, 4))
    assert candidate.assemble().ready
    before = contents(candidate.folder / Part.MODEL)
    candidate.put(Part.OUTPUT_MAPPER, MAPPER)
    assert candidate.assemble(Part.OUTPUT_MAPPER).ready
    assert contents(candidate.folder / Part.MODEL) == before


@pytest.mark.parametrize("damage", ["network.json", "network.onnx"])
@pytest.mark.parametrize("cut", [True, False])
def test_an_older_model_that_is_damaged_is_to_be_uploaded_again(
    candidate_of: CandidateOf, damage: str, cut: bool
) -> None:
    candidate = candidate_of(contract_of(), model=linear_onnx(3, 4))
    assert candidate.assemble().ready
    file = candidate.folder / Part.MODEL / damage
    file.write_bytes(file.read_bytes()[:30]) if cut else file.unlink()
    candidate.put(Part.OUTPUT_MAPPER, MAPPER)
    report = candidate.assemble(Part.OUTPUT_MAPPER)
    assert "damaged" in (report.rejected or "")
    assert "Upload it again" in (report.rejected or "")


def test_what_nobody_thought_of_is_a_rejection_with_its_name(
    candidate_of: CandidateOf, capsys: pytest.CaptureFixture[str]
) -> None:
    candidate = candidate_of(contract_of())
    (candidate.folder / Part.OUTPUT_MAPPER).mkdir()
    report = candidate.assemble(Part.OUTPUT_MAPPER)
    assert (report.rejected or "").startswith("The build failed: FileNotFoundError: ")
    assert "Traceback" in capsys.readouterr().err


def test_declared_heads_of_a_model_that_draws_are_held_against_its_draws(
    candidate_of: CandidateOf, tmp_path: Path
) -> None:
    """Heads that draw their first actions nearly always: too many sizes to try them all."""
    sizes = (12, 8, 10, 11, 9, 10)
    first = np.zeros(sum(sizes), np.float32)
    first[np.cumsum([0, *sizes[:-1]])] = 30.0
    model = save(
        tmp_path / "m", lambda x, w: categorical(x @ w + first, sizes), [weights(60, scale=0.3)]
    )

    def declaring(declared: tuple[int, ...]) -> Candidate:
        maps = [str({action: f"a{action}" for action in range(size)}) for size in declared]
        return candidate_of(
            contract_of(tuple_=True), model=model, output_mapper=f"[{', '.join(maps)}]"
        )

    assert candidate_of(contract_of(tuple_=True), model=model).assemble().missing == [
        Part.OUTPUT_MAPPER
    ]
    right = declaring(sizes)
    assert right.assemble().ready
    assert right.network.sizes == sizes
    wrong = declaring((8, 12, *sizes[2:])).assemble()
    assert "log-probabilities of the model's own draws differ" in (wrong.rejected or "")
