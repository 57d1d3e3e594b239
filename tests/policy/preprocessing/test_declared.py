"""Features as a file declares them, against NumPy written out as each framework writes it."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from policy_server.contract.decoding import Decoder
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import Observation, ObservationSchema
from policy_server.errors import ObservationError
from policy_server.policy.features import Features
from policy_server.policy.preprocessing.declared import DeclaredPreprocessor
from policy_server.policy.preprocessing.reading import Reader
from tests.support.policies import features_of, schema_features

Floats = NDArray[np.float64]
SCHEMA = read_schema("""\
observations:
  speed: {type: float}
  gear: {type: int, minimum: -1, maximum: 2}
  mode: {type: str, enum: [drive, wait]}
  doors: {type: int, enum: [2, 4, 5]}
  on: {type: bool}
  grid:
    type: list
    items: {type: "List[float]", min_items: 3, max_items: 3}
    min_items: 2
    max_items: 2
  moods: {type: "List[str]", enum: [a, b], min_items: 2, max_items: 2}
  late: {type: float, required: false}
  lamp: {type: str, enum: [red, green], required: false}
  count: {type: int, required: false, default: 7}
""")
WHOLE: Observation = {
    "speed": 130.0,
    "gear": 1,
    "mode": "wait",
    "doors": 4,
    "on": True,
    "grid": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
    "moods": ["b", "a"],
    "late": 3.0,
    "lamp": "green",
}
GRIDS = read_schema('observations: {x: {type: "List[float]", min_items: 6, max_items: 6}}')


def declared(text: str, schema: ObservationSchema = SCHEMA) -> DeclaredPreprocessor:
    return DeclaredPreprocessor(schema, Reader(schema).read(text))


def made(
    text: str, observations: Sequence[Observation], schema: ObservationSchema = SCHEMA
) -> Features:
    decoder = Decoder(schema)
    records = [decoder.convert(observation) for observation in observations]
    return features_of(declared(text, schema), records)


@pytest.mark.parametrize(
    ("entry", "row"),
    [
        ("field: speed", [130]),
        ("{field: speed, scale: 0.01, offset: 0.5}", [1.8]),
        ("{field: speed, scale: 0.01, offset: 0.5, clip: [-1, 1]}", [1]),
        ("{field: speed, scale: -0.01, clip: 1}", [-1]),
        ("{field: speed, scale: 1e-2}", [1.3]),
        ("{field: gear}", [1]),
        ("{field: gear, one_hot: true}", [0, 0, 1, 0]),
        ("{field: mode, one_hot: true}", [0, 1]),
        ("{field: doors, one_hot: yes}", [0, 1, 0]),
        ("{field: doors, one_hot: no}", [4]),
        ("{field: on}", [1]),
        ("{field: on, one_hot: true}", [0, 1]),
        ("{field: grid}", [1, 2, 3, 4, 5, 6]),
        ("{field: grid, scale: [1, 2, 3, 4, 5, 6]}", [1, 4, 9, 16, 25, 36]),
        ("{field: grid, clip: [2, 4.5]}", [2, 2, 3, 4, 4.5, 4.5]),
        ("{field: moods, one_hot: true}", [0, 1, 1, 0]),
        ("{field: moods, one_hot: true, offset: [0, 1, 2, 3]}", [0, 2, 3, 3]),
        ("{field: count}", [7]),
        ("{field: late, offset: 1}", [4]),
        ("{field: lamp, one_hot: true}", [0, 1]),
        ("{field: grid, normalise: {mean: 1, std: 255}}", [0, *(np.arange(1, 6) / 255)]),
    ],
)
def test_each_word_does_what_it_says(entry: str, row: list[float]) -> None:
    features = made(f"features:\n  - {entry}\n", [WHOLE])
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, np.array([row], dtype=np.float32))


def test_fields_come_in_the_order_of_the_file_and_may_come_again() -> None:
    text = """
features:
  - field: gear
    one_hot: true
  - field: speed
    scale: 0.5
  - field: grid
  - field: speed
"""
    row = [0, 0, 1, 0, 65, 1, 2, 3, 4, 5, 6, 130]
    np.testing.assert_array_equal(made(text, [WHOLE, WHOLE]), [row, row])


def test_an_absent_field_counts_as_0_before_all_that_is_done_to_it() -> None:
    some = {name: value for name, value in WHOLE.items() if name not in ("late", "lamp")}
    text = """
features:
  - {field: late, scale: 3, offset: 2}
  - {field: lamp, one_hot: true, offset: 1}
  - {field: late, normalise: {mean: 4, std: 2}}
normalise: {mean: [0, 0, 0, 1], std: 1}
"""
    np.testing.assert_array_equal(made(text, [some]), [[2, 1, 1, -3]])


def test_without_features_they_are_those_of_the_schema_normalised() -> None:
    width = schema_features(SCHEMA, WHOLE).shape[1]
    mean, std = np.arange(width) / 7, 1 + np.arange(width) / 3
    text = f"normalise: {{mean: {mean.tolist()}, std: {std.tolist()}}}"
    observations = random_observations(SCHEMA, 30, 4)
    plain = schema_features(SCHEMA, *observations).astype(np.float64)
    np.testing.assert_allclose(made(text, observations), (plain - mean) / std, atol=2e-6)


def stable_baselines3(x: Floats, mean: Floats, variance: Floats) -> Floats:
    """VecNormalize: clip_obs 10 and epsilon 1e-8 by default."""
    normalised: Floats = np.clip((x - mean) / np.sqrt(variance + 1e-8), -10.0, 10.0)
    return normalised


def rllib(x: Floats, mean: Floats, variance: Floats) -> Floats:
    """MeanStdFilter: SMALL_NUMBER is 1e-6; that of `observation_filter` does not clip."""
    return (x - mean) / (np.sqrt(variance) + 1e-6)


def rllib_connector(x: Floats, mean: Floats, variance: Floats) -> Floats:
    """The connector of that name hands it `clip_by_value`, 10 by default."""
    return np.clip(rllib(x, mean, variance), -10.0, 10.0)


def rsl_rl(x: Floats, mean: Floats, variance: Floats) -> Floats:
    """EmpiricalNormalization: eps 1e-2, and no clip."""
    return (x - mean) / (np.sqrt(variance) + 1e-2)


FORMULAS = {
    "framework: stable_baselines3": stable_baselines3,
    "framework: rllib, clip: none": rllib,
    "framework: rllib, clip: 10": rllib_connector,
    "framework: rsl_rl": rsl_rl,
    "epsilon: 1.0e-8, clip: 10": stable_baselines3,
}
VARIANCE = np.array([0.0, 1e-9, 0.25, 1.0, 40.0, 1e6])
"""The first two show which epsilon there is, and where it stands."""


@pytest.mark.parametrize("words", FORMULAS)
def test_each_framework_normalises_as_its_source_does(words: str) -> None:
    rng = np.random.default_rng(2)
    mean = rng.standard_normal(6)
    x = mean + rng.standard_normal((50, 6)) * [1e-6, 1e-3, 3, 3, 30, 1e4]
    observations: list[Observation] = [{"x": row.tolist()} for row in x]
    statistics = f"mean: {mean.tolist()}, variance: {VARIANCE.tolist()}"
    expected = FORMULAS[words](x, mean, VARIANCE).astype(np.float32)
    for text in (
        f"features: [{{field: x, normalise: {{{words}, {statistics}}}}}]",
        f"features: [{{field: x}}]\nnormalise: {{{words}, {statistics}}}",
    ):
        np.testing.assert_array_equal(made(text, observations, GRIDS), expected)


@pytest.mark.parametrize("framework", ["stable_baselines3", "rsl_rl"])
def test_deviations_may_stand_for_variances(framework: str) -> None:
    observations = random_observations(GRIDS, 20, 3)
    words = f"framework: {framework}, mean: 1"
    by_variance = made(f"normalise: {{{words}, variance: 9}}", observations, GRIDS)
    by_deviation = made(f"normalise: {{{words}, std: 3}}", observations, GRIDS)
    np.testing.assert_array_equal(by_variance, by_deviation)


def test_a_frameworks_own_numbers_may_be_others() -> None:
    words = "framework: stable_baselines3, mean: 0, variance: 0, epsilon: 4, clip: [-1, 2]"
    observations: list[Observation] = [{"x": [-9, -1, 0, 1, 3, 9]}]
    features = made(f"normalise: {{{words}}}", observations, GRIDS)
    np.testing.assert_array_equal(features, [[-1, -0.5, 0, 0.5, 1.5, 2]])


EVERYTHING = """
features:
  - {field: speed, scale: 0.013, offset: -0.7, normalise: {mean: 0.1, std: 3}, clip: 2}
  - {field: gear, one_hot: true}
  - {field: grid, normalise: {framework: stable_baselines3, mean: 0.5, variance: 2}}
  - {field: lamp, one_hot: true}
normalise: {mean: 0.25, std: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13], clip: 3}
"""


def test_a_row_alone_has_the_features_that_it_has_among_others() -> None:
    observations = random_observations(SCHEMA, 200, 5)
    together = made(EVERYTHING, observations)
    for row, observation in enumerate(observations):
        np.testing.assert_array_equal(made(EVERYTHING, [observation]), together[row : row + 1])


def test_arithmetic_is_of_64_bits_until_the_end() -> None:
    """In float32 a large offset would swallow what is left of the number."""
    text = "features: [{field: speed, offset: 1e9, normalise: {mean: 1e9, std: 1}}]"
    np.testing.assert_allclose(made(text, [{**WHOLE, "speed": 0.125}]), [[0.125]], rtol=1e-7)


@pytest.mark.parametrize(
    ("entry", "speed"),
    [
        ("{field: speed}", 1e39),
        ("{field: speed, scale: 10}", 1e38),
        ("{field: speed, scale: 10}", -1.7e308),
        ("{field: speed, normalise: {mean: 0, std: 1e-30}}", 1e300),
    ],
)
def test_numbers_beyond_the_network_are_the_clients_fault(entry: str, speed: float) -> None:
    rows: list[Observation] = [WHOLE, {**WHOLE, "speed": speed}]
    with pytest.raises(ObservationError, match="too large for the network") as caught:
        made(f"features: [{entry}]", rows)
    assert [fault.place for fault in caught.value.faults] == ["/observations/1"]


def test_what_is_clipped_is_never_too_large() -> None:
    rows: list[Observation] = [{**WHOLE, "speed": sign * 1.7e308} for sign in (1, -1)]
    text = "features: [{field: speed, scale: 1e5, clip: [-2, 3]}]"
    np.testing.assert_array_equal(made(text, rows), [[3], [-2]])


@pytest.mark.parametrize("bounds", ["minimum: -1e39, maximum: 0", "minimum: 0, maximum: 1e39"])
def test_bounds_of_a_field_beyond_the_network_are_seen(bounds: str) -> None:
    schema = read_schema(f"observations: {{x: {{type: float, {bounds}}}}}")
    end = 1e39 if bounds.endswith("1e39") else -1e39
    with pytest.raises(ObservationError, match="too large for the network"):
        made("features: [{field: x}]", [{"x": end}], schema)
    assert math.isfinite(made("features: [{field: x, scale: 1e-9}]", [{"x": end}], schema)[0, 0])


def test_no_observations_have_no_features() -> None:
    assert made(EVERYTHING, []).shape == (0, 13)
