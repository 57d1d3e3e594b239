"""All policies that are kept."""

from collections.abc import Sequence

from tests.frameworks import library_cases, other_cases, stable_baselines3_cases
from tests.frameworks.cases import Case

CASES: Sequence[Case] = (
    *stable_baselines3_cases.CASES,
    *other_cases.CASES,
    *library_cases.CASES,
)
