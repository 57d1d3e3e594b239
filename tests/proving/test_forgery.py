"""A preprocessor that does not fit its golden cases is refused, whatever it does to pass."""

import textwrap

import pytest

from policy_server.proving.limits import BuildLimits
from policy_server.sandbox.limits import ProcessLimits
from tests.proving.conftest import CandidateOf
from tests.support.contracts import contract_of
from tests.support.networks import linear_onnx

GOLDEN = '{"observation": {"x": [1, 2, 3]}, "features": [1, 2, 3]}\n'
WRONG = "\ndef preprocess(observation):\n    return [-each for each in observation['x']]\n"
FORGED = '{"observation": {"x": [1, 2, 3]}, "features": [-1, -2, -3]}'
REPORT = '{"report": {"checks": [], "missing": [], "rejected": null, "faults": []}}'
FREE = BuildLimits(isolation=ProcessLimits(confined=False))

OVERWRITES = f"""
    from pathlib import Path
    try:
        for file in (Path(__file__).parents[1] / "golden").iterdir():
            file.write_text({FORGED!r})
    except PermissionError:
        pass
"""
PATCHES = """
    import json, math, sys
    import numpy as np
    np.array_equal = np.allclose = lambda *given, **more: True
    np.abs = lambda numbers, **more: numbers * 0.0
    json.dumps = lambda *given, **more: '{"report": {}}'
    math.isfinite = lambda number: True
    for name, module in list(sys.modules.items()):
        if name.startswith("policy_server.proving"):
            vars(module).clear()
"""
FORGES = f"""
    import atexit, os, struct
    def forge():
        report = {REPORT!r}.encode()
        for descriptor in range(3, 256):
            try:
                os.write(descriptor, struct.pack("!IQ", len(report), 0) + report)
            except OSError:
                pass
    atexit.register(forge)
    forge()
"""


def refusal(candidate_of: CandidateOf, code: str, limits: BuildLimits | None = None) -> str | None:
    """Why a build refuses it; None where it is taken in."""
    candidate = candidate_of(
        contract_of(),
        limits or BuildLimits(),
        preprocessor=textwrap.dedent(code) + WRONG,
        golden=GOLDEN,
        model=linear_onnx(3, 4),
    )
    return candidate.build().rejected


@pytest.mark.parametrize("code", ["", OVERWRITES, PATCHES], ids=["honest", "files", "libraries"])
def test_its_golden_cases_are_compared_where_it_cannot_reach(
    candidate_of: CandidateOf, code: str
) -> None:
    assert "golden case" in (refusal(candidate_of, code) or "")


def test_where_nothing_is_confined_it_reaches_them(candidate_of: CandidateOf) -> None:
    assert refusal(candidate_of, OVERWRITES, FREE) is None


def test_its_report_is_not_taken_for_that_of_the_build(candidate_of: CandidateOf) -> None:
    assert refusal(candidate_of, FORGES) is not None
