"""Writes the folder of a policy, which `policy-server publish FOLDER` proves and serves."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from policy_server.export.recording import Episode, golden_cases, play
from policy_server.export.spaces import (
    ExportRefused,
    Fields,
    action_fields,
    observation_fields,
)
from policy_server.export.trained import Description, Normalise, Options, Trained

STATISTICS = "statistics.npz"
NO_TEXTS = ("yes", "no", "on", "off", "y", "n", "true", "false", "null")
"""What YAML reads as something else."""
MADE = ("schema.yaml", "model.yaml", STATISTICS, "golden.jsonl")
MODELS = (
    "policy.onnx",
    "policy.pt2",
    "policy.pt",
    "saved_model",
    "saved_model.zip",
    "policy.keras",
)
"""What a folder is cleared of before another policy is written there."""


def write_folder(
    trained: Trained, env: Any, folder: str | Path, options: Options | None = None
) -> list[Episode]:
    """Write a policy as a folder: network, schema, what its output is, and golden cases.

    Args:
        trained: The policy.
        env: The environment, of Gymnasium, in which its golden cases are recorded.
        folder: Where to; made if it is not there.
        options: What fields are called, and how much is recorded.

    Returns:
        The episodes that were played.
    """
    options, folder = options or Options(), Path(folder)
    observed = observation_fields(trained.observation_space, options.names)
    acted = action_fields(trained.action_space, options.actions, options.meanings)
    masks = _masks(acted) if trained.masked else {}
    episodes = list(play(trained, env, options))
    sizes = {name: size for name, (_, size) in masks.items()}
    memory = bool(trained.description.memory)
    rows = golden_cases(episodes, observed, sizes, memory, options.cases)
    golden = "".join(f"{json.dumps(row)}\n" for row in rows)
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    trained.write_model(folder)
    (folder / "golden.jsonl").write_text(golden, encoding="utf-8")
    (folder / "schema.yaml").write_text(schema_text(observed, acted, masks), encoding="utf-8")
    (folder / "model.yaml").write_text(_model(trained.description, folder), encoding="utf-8")
    _tell(trained, folder, episodes)
    return episodes


def yaml_key(name: str) -> str:
    """A name as a key of YAML: in quotes, where it might be read as something else."""
    plain_text = name.isidentifier() and name.lower() not in NO_TEXTS
    return name if plain_text else json.dumps(name, ensure_ascii=False)


def yaml_value(value: Any) -> str:
    """A value in one line of YAML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {yaml_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(yaml_value, value)) + "]"
    if isinstance(value, float):
        text = repr(value)  # YAML takes 1e-08 for a text
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    return json.dumps(value, ensure_ascii=False)


def schema_text(observed: Fields, acted: Fields, masks: Mapping[str, tuple[str, int]]) -> str:
    """The text of schema.yaml.

    Args:
        observed: Fields of the observation.
        acted: Fields of the action.
        masks: By field of the observation: which field of the action it masks, and its size.
    """
    lines = ["observations:"]
    lines += [f"  {yaml_key(name)}: {yaml_value(words)}" for name, words in observed.words.items()]
    for name, (action, size) in masks.items():
        words = {"type": "List[bool]", "min_items": size, "max_items": size, "mask_of": action}
        lines.append(f"  {yaml_key(name)}: {yaml_value(words)}")
    lines.append("actions:")
    lines += [f"  {yaml_key(name)}: {yaml_value(words)}" for name, words in acted.words.items()]
    return "\n".join(lines) + "\n"


def _masks(acted: Fields) -> dict[str, tuple[str, int]]:
    """By field of the observation: which field of the action it masks, and its size."""
    masks = {}
    for name, words in acted.words.items():
        one = len(words["enum"]) if "enum" in words else _numbered(name, words)
        masks[f"{name}_mask"] = (name, one * int(words.get("max_items", 1)))
    return masks


def _numbered(name: str, words: Mapping[str, Any]) -> int:
    """How many values each number of a numbered action has."""
    if "bool" in words["type"]:
        return 2
    if "int" in words["type"]:
        return int(words["maximum"]) - int(words["minimum"]) + 1
    raise ExportRefused(f"The action `{name}` is a real number, and cannot be masked.")


def _model(description: Description, folder: Path) -> str:
    said = {
        "output": description.output,
        "reads": description.reads,
        "inputs": description.inputs,
        "action_range": description.action_range,
        "normalise": _statistics(description.normalise, folder),
        "memory": description.memory,
    }
    return "".join(
        f"{name}: {yaml_value(value)}\n" for name, value in said.items() if value is not None
    )


def _statistics(normalise: Normalise | None, folder: Path) -> dict[str, Any] | None:
    """What model.yaml says of normalisation; its arrays lie beside."""
    if normalise is None:
        return None
    arrays = {"mean": normalise.mean, "variance": normalise.variance, "std": normalise.std}
    given: dict[str, Any] = {
        name: np.ravel(np.asarray(each, np.float64))
        for name, each in arrays.items()
        if each is not None
    }
    np.savez(folder / STATISTICS, **given)
    said: dict[str, Any] = {"file": STATISTICS, "epsilon": normalise.epsilon}
    return said if normalise.clip is None else said | {"clip": normalise.clip}


def _clear(folder: Path) -> None:
    """Take away what an earlier export made, so that nothing of another policy stays."""
    for name in (*MADE, *MODELS):
        if (folder / name).is_dir():
            shutil.rmtree(folder / name)
        else:
            (folder / name).unlink(missing_ok=True)


def _tell(trained: Trained, folder: Path, episodes: Sequence[Episode]) -> None:
    totals = [episode.total for episode in episodes]
    steps = sum(len(episode.steps) for episode in episodes)
    print(f"{trained.framework}: {len(episodes)} episodes, {steps} steps, return {_range(totals)}.")
    if trained.training_returns:
        print(f"The last episodes of training: return {_range(trained.training_returns)}.")
        if np.mean(totals) < min(trained.training_returns):
            print(
                "WARNING: this is worse than any of them. Something of training is missing: a "
                "wrapper of the environment, its options, or the statistics of normalisation."
            )
    print(f"Written: {', '.join(sorted(path.name for path in folder.iterdir()))}.")
    print(f"Now: policy-server publish {folder}")


def _range(numbers: Sequence[float]) -> str:
    return f"{np.mean(numbers):.6g} (from {min(numbers):.6g} to {max(numbers):.6g})"
