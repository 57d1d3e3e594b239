"""Networks from the wild give what their frameworks gave."""

from pathlib import Path

import numpy as np
import pytest

from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.saved_model import SavedModel
from policy_server.proving.archive import unpack_saved_model
from policy_server.proving.limits import BuildLimits
from tests.support.corpus import CORPUS
from tests.support.saved_models import assert_runs_as_recorded


@pytest.mark.parametrize(
    ("name", "output"),
    [("cartpole_ppo", "logits"), ("digits_ppo", "logits"), ("pendulum_ppo", "mean_log_std")],
)
def test_onnx_answers_as_in_training(name: str, output: str) -> None:
    engine = OnnxEngine(CORPUS / name / "policy.onnx")
    golden = np.load(CORPUS / name / "golden.npz")
    assert engine.feature_width == golden["observations"].shape[1]
    np.testing.assert_allclose(engine.run(golden["observations"]), golden[output], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "output", "actions"),
    [
        ("lpoc", "action_dist_inputs", "actions_0"),
        ("mouse_and_cheese", "behaviour_logits", "actions"),
        ("mouse_and_cheese_compact", "action_dist_inputs", "actions_0"),
        ("simple_stochastic_tuple", "action_dist_inputs", "actions_0"),
    ],
)
def test_saved_models_answer_and_draw_as_in_training(
    name: str, output: str, actions: str, tmp_path: Path
) -> None:
    unpack_saved_model(CORPUS / name / "saved_model.zip", tmp_path / "m", BuildLimits())
    golden = np.load(CORPUS / name / "golden.npz")
    observations, logits = golden["observations"], golden["action_dist_inputs"]

    model = SavedModel(tmp_path / "m")
    model.output_name = output
    assert model.action_outputs == [actions]
    assert_runs_as_recorded(model, observations, logits)

    draws = model.draw(observations)
    [drawn] = draws.actions
    rows = np.arange(len(logits))
    soft = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert draws.log_probability is not None
    np.testing.assert_allclose(draws.log_probability, soft[rows, drawn], atol=1e-4)
