"""A folder that the kit writes, and what it says of it."""

import json
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from policy_server.export.folder import write_folder, yaml_value
from policy_server.export.spaces import ExportRefused
from policy_server.export.trained import Decided, Description, Normalise, Options, Trained
from tests.support.networks import linear_kernel, linear_onnx

# mypy: disable-error-code="misc"


class Walk(gymnasium.Env[Any, Any]):
    """Ten steps to the left or the right; the left is sometimes forbidden."""

    observation_space = spaces.Box(-20, 20, (2,))
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.steps = float(self.np_random.uniform(-1, 1)), 0
        return self.seen(), {}

    def seen(self) -> Any:
        return np.array([self.place, self.steps], np.float32)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.place, self.steps = self.place + 2 * action - 1, self.steps + 1
        return self.seen(), float(action), self.steps == 10, False, {}

    def action_masks(self) -> Any:
        return np.array([self.steps % 2 == 0, True])


class Linear(Trained):
    """Logits are a product of matrices."""

    framework, observation_space, action_space = "Tests", Walk.observation_space, Walk.action_space
    description = Description("logits", "logits")
    refuses = False

    def write_model(self, folder: Path) -> None:
        if self.refuses:
            raise ExportRefused("no network")
        (folder / "policy.onnx").write_bytes(linear_onnx(2, 2))

    def decide(self, observation: Any, state: Any, mask: Any) -> Decided:
        inputs = observation @ linear_kernel(2, 2)
        if mask is not None:
            inputs = np.where(mask, inputs, -np.inf)
        action = int(np.argmax(inputs))
        odds = np.exp(inputs - inputs.max())
        return Decided(action, [action], None, odds / odds.sum(), (state or 0) + 1)

    def mask(self, env: Any) -> Any:
        return env.action_masks()


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "golden.jsonl").read_text().splitlines()]


def test_golden_cases_are_spread_over_all_episodes(tmp_path: Path) -> None:
    episodes = write_folder(Linear(), Walk(), tmp_path, Options(episodes=4, cases=20))
    assert [len(episode.steps) for episode in episodes] == [10, 10, 10, 10]
    recorded = rows(tmp_path)
    assert [row["observation"]["observation"][1] for row in recorded] == [0, 2, 4, 6, 8] * 4
    assert all(row["features"] == row["observation"]["observation"] for row in recorded)


def test_of_a_policy_with_memory_whole_beginnings_of_episodes_are_kept(tmp_path: Path) -> None:
    trained = Linear()
    pairs = [{"input": "h_in", "output": "h_out"}]
    trained.description = Description("logits", "logits", memory=pairs)
    write_folder(trained, Walk(), tmp_path, Options(episodes=2, cases=8))
    recorded = [(row["episode"], row["observation"]["observation"][1]) for row in rows(tmp_path)]
    assert recorded == [(episode, step) for episode in "01" for step in range(4)]
    assert "memory: [{input: " in (tmp_path / "model.yaml").read_text()


def test_masks_are_fields_of_the_observation(tmp_path: Path) -> None:
    trained = Linear()
    trained.masked = True
    write_folder(trained, Walk(), tmp_path, Options(episodes=1))
    assert [row["observation"]["action_mask"] for row in rows(tmp_path)] == [
        [step % 2 == 0, True] for step in range(10)
    ]
    assert 'action_mask: {type: "List[bool]"' in (tmp_path / "schema.yaml").read_text()


def test_a_refusal_leaves_no_policy_of_before_under_its_name(tmp_path: Path) -> None:
    (tmp_path / "policy.pt2").write_text("of before")
    trained = Linear()
    trained.observation_space = spaces.Box(-1, 1, (2,))
    with pytest.raises(ExportRefused, match="which its space"):
        write_folder(trained, Walk(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["policy.pt2"]
    write_folder(Linear(), Walk(), tmp_path)
    assert not (tmp_path / "policy.pt2").exists()


def test_returns_that_are_worse_than_in_training_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = Linear()
    trained.training_returns = [500.0, 480.0]
    write_folder(trained, Walk(), tmp_path)
    assert "WARNING: this is worse than any of them" in capsys.readouterr().out
    trained.training_returns = [-1.0, 480.0]
    write_folder(trained, Walk(), tmp_path)
    assert "WARNING" not in capsys.readouterr().out


def test_statistics_lie_beside_model_yaml(tmp_path: Path) -> None:
    trained = Linear()
    normalise = Normalise(np.ones(2), variance=np.full(2, 4.0), epsilon=1e-8, clip=10.0)
    trained.description = Description("logits", "logits", normalise=normalise)
    write_folder(trained, Walk(), tmp_path)
    said = (tmp_path / "model.yaml").read_text()
    assert 'normalise: {file: "statistics.npz", epsilon: 1.0e-08, clip: 10.0}' in said
    with np.load(tmp_path / "statistics.npz") as file:
        assert {name: file[name].tolist() for name in file} == {"mean": [1, 1], "variance": [4, 4]}


def test_numbers_are_written_as_yaml_reads_numbers() -> None:
    import yaml

    numbers = [1e-8, -2.5e-07, 1e22, 3.4028234663852886e38, 0.1, 5.0]
    assert yaml.safe_load(yaml_value(numbers)) == numbers
