"""The trained artefacts are what their READMEs say, and the trainer trains."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import examples
from examples.evaluate import (
    ExportedPolicy,
    at_random,
    by_rule,
    most_probable,
    play,
    sampling,
    write_figures,
)
from examples.export import export_policy
from examples.golden import CASES
from examples.lpoc.train import TASK as LPOC
from examples.ppo import Adam, Rollout, Settings, advantages, train
from examples.quiet_tensorflow import tf
from examples.simple_stochastic_tuple.train import SETTINGS as DOORS_SETTINGS
from examples.simple_stochastic_tuple.train import TASK as DOORS
from examples.task import Task
from examples.thermostat.train import TASK as THERMOSTAT
from examples.training import main

FOLDER = Path(examples.__file__).parent
TASKS = {"lpoc": LPOC, "simple_stochastic_tuple": DOORS, "thermostat": THERMOSTAT}
HEADS = {"lpoc": (5,), "simple_stochastic_tuple": (2, 3)}
SHORT = Settings(steps=2048, environments=8, horizon=32, hidden=(16,))
ROW = re.compile(r"^\| (.+?) \| (-?\d+\.\d+) \| (\d+\.\d+) \| (\d+) \|$", re.MULTILINE)

each_example = pytest.mark.parametrize("name", TASKS)


@pytest.fixture(scope="module")
def policies() -> dict[str, ExportedPolicy]:
    return {name: ExportedPolicy(FOLDER / name / "saved_model.zip") for name in TASKS}


def features_of(task: Task, rows: int) -> Any:
    """Features float32[rows, F] of first observations."""
    environment = task.environment()
    return np.array([task.preprocess(environment.reset(seed)) for seed in range(rows)], np.float32)


def log_softmax(logits: Any) -> Any:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def split_heads(logits: Any, sizes: tuple[int, ...]) -> list[Any]:
    """Log-probabilities float64[B, A] of each head."""
    parts = np.split(logits.astype(np.float64), np.cumsum(sizes)[:-1], axis=1)
    return [log_softmax(part) for part in parts]


@each_example
def test_signature_has_the_names_and_types_of_rllib(
    name: str, policies: dict[str, ExportedPolicy]
) -> None:
    heads = len(HEADS.get(name, ()))
    actions = {0: ([None, 1], "float32"), 1: ([None], "int64"), 2: ([None, 2], "int64")}[heads]
    specifications = policies[name].inputs.items()
    inputs = {key: (each.shape.as_list(), each.dtype.name) for key, each in specifications}
    width = len(features_of(TASKS[name], 1)[0])
    assert inputs == {
        "observations": ([None, width], "float32"),
        "prev_action": actions,
        "prev_reward": ([None], "float32"),
        "is_training": ([], "bool"),
        "seq_lens": ([None], "int32"),
        "timestep": ([], "int64"),
    }
    outputs = policies[name].run(features_of(TASKS[name], 3))
    described = {key: (value.shape, value.dtype.name) for key, value in outputs.items()}
    one_each: dict[str, Any] = {f"actions_{head}": ((3,), "int64") for head in range(heads)}
    assert described == {
        **(one_each or {"actions_0": ((3, 1), "float32")}),
        "action_dist_inputs": ((3, TASKS[name].distribution.inputs_width), "float32"),
        **{key: ((3,), "float32") for key in ("action_prob", "action_logp", "vf_preds")},
    }


@pytest.mark.parametrize("name", HEADS)
def test_discrete_draws_agree_with_the_distribution_inputs(
    name: str, policies: dict[str, ExportedPolicy]
) -> None:
    outputs = policies[name].run(features_of(TASKS[name], 500))
    heads = split_heads(outputs["action_dist_inputs"], HEADS[name])
    rows = np.arange(500)
    expected = sum(head[rows, outputs[f"actions_{i}"]] for i, head in enumerate(heads))
    np.testing.assert_allclose(outputs["action_logp"], expected, atol=2e-5)
    np.testing.assert_allclose(outputs["action_prob"], np.exp(expected), atol=2e-6)


@pytest.mark.parametrize("name", HEADS)
def test_discrete_draws_have_the_frequencies_of_the_distribution(
    name: str, policies: dict[str, ExportedPolicy]
) -> None:
    many = 20_000
    for features in features_of(TASKS[name], 3):
        outputs = policies[name].run(np.tile(features, (many, 1)))
        for i, head in enumerate(split_heads(outputs["action_dist_inputs"][:1], HEADS[name])):
            probability = np.exp(head[0])
            seen = np.bincount(outputs[f"actions_{i}"], minlength=len(probability)) / many
            bound = 6 * np.sqrt(probability * (1 - probability) / many) + 3 / many
            assert (np.abs(seen - probability) < bound).all()


def test_continuous_draws_agree_with_the_distribution_inputs(
    policies: dict[str, ExportedPolicy],
) -> None:
    outputs = policies["thermostat"].run(features_of(THERMOSTAT, 20_000))
    mean, log_deviation = outputs["action_dist_inputs"].astype(np.float64).T
    distance = (outputs["actions_0"][:, 0] - mean) / np.exp(log_deviation)
    expected = -0.5 * distance**2 - log_deviation - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(outputs["action_logp"], expected, atol=1e-4)
    np.testing.assert_allclose(outputs["action_prob"], np.exp(expected), rtol=1e-4)
    assert abs(distance.mean()) < 0.05
    assert abs(distance.std() - 1.0) < 0.05


@each_example
def test_draws_differ_between_runs_and_distribution_inputs_do_not(
    name: str, policies: dict[str, ExportedPolicy]
) -> None:
    features = features_of(TASKS[name], 2000)
    first, second = policies[name].run(features), policies[name].run(features)
    np.testing.assert_array_equal(first["action_dist_inputs"], second["action_dist_inputs"])
    assert (first["action_logp"] != second["action_logp"]).any()


@each_example
def test_a_session_serves_the_same_and_looks_at_observations_alone(
    name: str, policies: dict[str, ExportedPolicy], tmp_path: Path
) -> None:
    features = features_of(TASKS[name], 4)
    with zipfile.ZipFile(FOLDER / name / "saved_model.zip") as archive:
        archive.extractall(tmp_path)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path))
        signature = model.signature_def["serving_default"]
        feeds = {each.name: ones_like(each, rows=4) for each in signature.inputs.values()}
        feeds[signature.inputs["observations"].name] = features
        wanted = {key: signature.outputs[key].name for key in ("action_dist_inputs", "vf_preds")}
        served = session.run(wanted, feeds)
    expected = policies[name].run(features)  # every other input is zero there
    for key, value in served.items():
        np.testing.assert_allclose(value, expected[key], atol=1e-5)


def ones_like(tensor: Any, rows: int) -> Any:
    shape = [rows if axis.size < 0 else axis.size for axis in tensor.tensor_shape.dim]
    return np.ones(shape, tf.as_dtype(tensor.dtype).as_numpy_dtype)


@each_example
def test_artefacts_are_small_and_have_the_model_in_the_root(name: str) -> None:
    path = FOLDER / name / "saved_model.zip"
    with zipfile.ZipFile(path) as archive:
        assert "saved_model.pb" in archive.namelist()
    assert path.stat().st_size < 500_000


@each_example
def test_figures_of_the_readme_are_those_of_the_artefact(
    name: str, policies: dict[str, ExportedPolicy]
) -> None:
    task, readme = TASKS[name], (FOLDER / name / "README.md").read_text()
    assert "| policy | mean return | standard deviation | episodes |" in readme
    rows = {row[0]: (float(row[1]), float(row[2]), int(row[3])) for row in ROW.findall(readme)}
    choices = {
        "trained, sampled": sampling(task, policies[name], seed=1),
        "trained, most probable action": most_probable(task, policies[name]),
        "random": at_random(task, seed=1),
    }
    assert list(rows) == list(choices)
    for policy, choose in choices.items():
        mean, deviation, episodes = rows[policy]
        again = np.mean(play(task, choose, 200, first_seed=0))
        assert episodes >= 1000
        assert abs(again - mean) < 4.5 * deviation * np.sqrt(1 / 200 + 1 / episodes)


@each_example
def test_trained_policies_are_near_the_hand_written_rule_and_far_from_random(
    name: str, policies: dict[str, ExportedPolicy]
) -> None:
    task = TASKS[name]
    choices = sampling(task, policies[name]), by_rule(task.rule), at_random(task)
    trained, rule, uniform = (np.mean(play(task, choose, 300)) for choose in choices)
    assert trained - uniform > 0.95 * (rule - uniform) > 0


def test_ppo_learns_in_a_moment() -> None:
    progress: list[str] = []
    network = train(DOORS, Settings(steps=20_000, seed=1), progress.append)
    inputs = network.distribution_inputs(features_of(DOORS, 100)).numpy()
    movement, door = split_heads(inputs, (2, 3))
    lamps = features_of(DOORS, 100)[:, 3:].argmax(axis=1)  # 0 dark, then one a door
    assert (movement.argmax(axis=1) == (lamps > 0)).all()
    assert (door.argmax(axis=1)[lamps > 0] == lamps[lamps > 0] - 1).all()
    assert float(progress[-1].split()[-1]) > 0.5
    assert float(progress[0].split()[-1]) < 0


@pytest.mark.parametrize("task", [DOORS, THERMOSTAT])
def test_training_repeats_under_a_seed(task: Task) -> None:
    def weights(seed: int) -> list[Any]:
        settings = Settings(**{**vars(SHORT), "seed": seed})
        return [weight.numpy() for weight in train(task, settings, lambda line: None).weights]

    first, again, other = weights(5), weights(5), weights(6)
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, same)
    assert any((one != another).any() for one, another in zip(first, other, strict=True))


def test_a_training_script_writes_its_model_and_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(FOLDER / "simple_stochastic_tuple" / "README.md", tmp_path)
    words = ["--steps", "4096", "--episodes", "50", "--output", str(tmp_path)]
    before = (FOLDER / "simple_stochastic_tuple" / "saved_model.zip").read_bytes()
    main(DOORS, DOORS_SETTINGS, FOLDER / "simple_stochastic_tuple", words)
    printed, readme = capsys.readouterr().out, (tmp_path / "README.md").read_text()
    assert len(ROW.findall(readme)) == 3
    assert ROW.findall(printed) == ROW.findall(readme)
    assert ExportedPolicy(tmp_path / "saved_model.zip").run(np.zeros([2, 7]))
    assert (FOLDER / "simple_stochastic_tuple" / "saved_model.zip").read_bytes() == before


def test_the_command_of_the_readme_runs_quietly(tmp_path: Path) -> None:
    words = ["-m", "examples.thermostat.train", "--steps", "512", "--episodes", "2"]
    assert "python -m examples.thermostat.train" in (FOLDER / "thermostat/README.md").read_text()
    ended = subprocess.run(
        [sys.executable, *words, "--output", str(tmp_path)],
        cwd=FOLDER.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stderr == ""
    assert len(ROW.findall(ended.stdout)) == 3
    assert {file.name for file in tmp_path.iterdir()} == {"golden.jsonl", "saved_model.zip"}


@each_example
def test_the_golden_cases_are_what_tensorflow_gives(
    name: str, policies: dict[str, ExportedPolicy]
) -> None:
    lines = (FOLDER / name / "golden.jsonl").read_text().splitlines()
    cases = [json.loads(line) for line in lines]
    assert len(cases) == CASES
    # Of the doors, eight is all that can be observed.
    assert len({json.dumps(case["observation"]) for case in cases}) >= 8
    task = TASKS[name]
    features = [task.preprocess(case["observation"]) for case in cases]
    assert features == [case["features"] for case in cases]
    inputs = policies[name].run(features)["action_dist_inputs"]
    recorded = [case["distribution_inputs"] for case in cases]
    np.testing.assert_allclose(inputs, recorded, atol=1e-5)


def test_figures_need_a_place_in_the_readme(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Nothing here\n")
    with pytest.raises(ValueError, match="has no lines"):
        write_figures(tmp_path / "README.md", "figures")


def test_an_exported_network_keeps_its_weights_and_draws_anew(tmp_path: Path) -> None:
    network = train(THERMOSTAT, SHORT, lambda line: None)
    export_policy(network, THERMOSTAT.distribution, tmp_path / "model.zip")
    features = features_of(THERMOSTAT, 5)
    policy = ExportedPolicy(tmp_path / "model.zip")
    outputs = policy.run(features)
    assert (outputs["actions_0"] != policy.run(features)["actions_0"]).all()
    inputs, values = network.distribution_inputs(features), network.values(features)
    np.testing.assert_allclose(outputs["action_dist_inputs"], inputs, atol=1e-6)
    np.testing.assert_allclose(outputs["vf_preds"], values, atol=1e-6)


def test_advantages_are_discounted_sums_of_surprises() -> None:
    generator = np.random.default_rng(0)
    rewards, values = (generator.normal(size=(6, 2)).astype(np.float32) for _ in range(2))
    ends = np.zeros((6, 2), np.float32)
    ends[2, 0] = 1.0
    last = generator.normal(size=2).astype(np.float32)
    rollout = Rollout(values, values, values, values, rewards, ends, last)
    following = np.concatenate([values[1:], last[None]])
    surprises = rewards + 0.9 * (1 - ends) * following - values
    expected = np.zeros((6, 2))
    for begin in range(6):
        for environment in range(2):
            weight = 1.0
            for step in range(begin, 6):
                expected[begin, environment] += weight * surprises[step, environment]
                weight *= 0.9 * 0.8 * (1 - ends[step, environment])
    np.testing.assert_allclose(advantages(rollout, 0.9, 0.8), expected, atol=1e-5)


def test_adam_finds_the_bottom_and_first_moves_by_the_learning_rate() -> None:
    weight = tf.Variable([3.0, -2.0])
    optimiser = Adam([weight])
    optimiser.apply([2 * weight], 0.1)
    np.testing.assert_allclose(weight, [2.9, -1.9], atol=1e-5)
    for _ in range(300):
        optimiser.apply([2 * weight], 0.1)
    np.testing.assert_allclose(weight, [0.0, 0.0], atol=0.05)
