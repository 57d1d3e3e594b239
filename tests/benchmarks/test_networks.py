"""Policies of any size, as the benchmark makes them."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.networks import ACTIONS, write_policy
from benchmarks.ours import SCHEMA_FEATURES
from benchmarks.preprocessor import FIELDS, preprocess
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.policy.engines.onnx import OnnxEngine
from tests.support.policies import schema_features
from tests.support.server import ROOT


@pytest.mark.parametrize(("fields", "hidden"), [(1, 4), (1000, 64)])
def test_the_network_takes_what_the_schema_describes(
    fields: int, hidden: int, tmp_path: Path
) -> None:
    observation = json.loads(write_policy(tmp_path / "policy", fields, hidden))
    schema = read_schema((tmp_path / "policy" / "schema.yaml").read_text(encoding="utf-8"))
    assert list(schema.fields) == list(observation)
    assert all(-1 <= value <= 1 for value in observation.values())
    engine = OnnxEngine(tmp_path / "policy" / "policy.onnx")
    logits = engine.run(schema_features(schema, observation, observation))
    assert logits.shape == (2, ACTIONS)
    assert np.isfinite(logits).all()
    assert len(np.unique(logits[0])) == ACTIONS


def test_features_of_the_plain_policy_are_the_fields_of_the_schema() -> None:
    text = (ROOT / "examples" / "lpoc" / "schema.yaml").read_text(encoding="utf-8")
    schema = read_schema(text)
    assert tuple(schema.fields) == FIELDS
    observations = random_observations(schema, 50, 0)
    features = [preprocess(observation) for observation in observations]
    assert np.array_equal(schema_features(schema, *observations), features)
    assert len(features[0]) == SCHEMA_FEATURES
