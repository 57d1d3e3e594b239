"""Exports policies of rsl_rl (Isaac Lab, mjlab, legged robots): its PPO, recurrent or not.

    python export_policy.py --checkpoint model_1500.pt --agent params/agent.yaml
        --env my_module:make_env --output folder

Or in Python, where a policy was trained: `export(runner.alg, env, "folder")`.
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from policy_server.export.folder import write_folder
from policy_server.export.rsl_rl_policies import RobotPolicy, groups_of
from policy_server.export.spaces import ExportRefused, kind_of
from policy_server.export.trained import Options

OPTIONS = {
    "agent": "The runner's configuration, YAML or JSON; Isaac Lab: logs/.../params/agent.yaml.",
}
REQUIRED = ("agent",)
CRITIC = ("critic.", "critic_obs_normalizer.", "memory_c.")
"""Of the weights of an ActorCritic: those that no action depends on."""


def export(algorithm: Any, env: Any, folder: str, **options: Any) -> None:
    """Write a policy as a folder that `policy-server publish` takes.

    Args:
        algorithm: `runner.alg`, or the policy in it.
        env: Of Gymnasium, one robot: its actions are the policy's own, neither scaled nor shifted.
        folder: Where to.
        options: As of `Options`.
    """
    policy = algorithm
    if hasattr(algorithm, "get_policy"):
        policy = algorithm.get_policy()
    elif hasattr(algorithm, "policy"):
        policy = algorithm.policy
    write_folder(RobotPolicy(policy, env), env, folder, Options(**options))


def export_checkpoint(given: Mapping[str, str], env: Any, options: Options) -> None:
    """Write the folder of a `model_N.pt` that the runner saved."""
    weights = torch.load(given["checkpoint"], map_location="cpu", weights_only=True)
    configuration = _configuration(Path(given["agent"]))
    if "actor_state_dict" in weights:
        policy = _actor(configuration, env)
        policy.load_state_dict(weights["actor_state_dict"])
    elif "model_state_dict" in weights:
        policy = _actor_critic(configuration, env)
        kept = {
            name: value
            for name, value in weights["model_state_dict"].items()
            if not name.startswith(CRITIC)
        }
        own = {name for name in policy.state_dict() if not name.startswith(CRITIC)}
        if own != set(kept):
            raise ExportRefused(
                f"The checkpoint and {given['agent']} do not belong together: weights of one alone "
                f"are {', '.join(sorted(own ^ set(kept)))}."
            )
        torch.nn.Module.load_state_dict(policy, kept, strict=False)
    else:
        raise ExportRefused(
            f"{given['checkpoint']} is no checkpoint of rsl_rl's PPO: it has "
            f"{', '.join(map(str, weights))}, but neither actor_state_dict nor model_state_dict."
        )
    write_folder(RobotPolicy(policy, env), env, given["output"], options)


def _configuration(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        found: dict[str, Any] = json.loads(text)
        return found
    try:
        import yaml
    except ImportError as error:
        raise ExportRefused(
            f"{path} cannot be read without PyYAML: install it, or write the file as JSON."
        ) from error

    class Loader(yaml.SafeLoader):
        """Reads the tuples that Isaac Lab writes with a tag of Python; as lists."""

    tag = "tag:yaml.org,2002:python/tuple"
    Loader.add_constructor(tag, _sequence)
    return yaml.load(text, Loader)


def _sequence(loader: Any, node: Any) -> Any:
    return loader.construct_sequence(node)


def _actor(configuration: Mapping[str, Any], env: Any) -> Any:
    """An actor of version 5, not yet trained."""
    from rsl_rl.utils import resolve_class

    chosen = _said(configuration, "actor")
    groups = _groups(configuration, env, "actor")
    kind, words = resolve_class(chosen)
    seen = _first_observation(env, groups)
    return kind(seen, {"actor": groups}, "actor", env.action_space.shape[0], **words)


def _actor_critic(configuration: Mapping[str, Any], env: Any) -> Any:
    """An ActorCritic of versions 3 and 4, not yet trained; its critic is not that of training."""
    from rsl_rl import modules

    chosen = _said(configuration, "policy")
    groups = _groups(configuration, env, "policy")
    kind = getattr(modules, str(chosen.pop("class_name")), None)
    if kind is None:
        raise ExportRefused(
            f"This rsl_rl has no {_said(configuration, 'policy')['class_name']}: the checkpoint is "
            "of versions 2 to 4. Export it where it was trained."
        )
    seen = _first_observation(env, groups)
    both = {"policy": groups, "critic": groups}
    return kind(seen, both, env.action_space.shape[0], **chosen)


def _said(configuration: Mapping[str, Any], part: str) -> dict[str, Any]:
    if not isinstance(configuration.get(part), dict):
        raise ExportRefused(
            f"The runner's configuration has no `{part}`, which such a checkpoint needs; it has "
            f"{', '.join(map(str, configuration))}."
        )
    return copy.deepcopy(configuration[part])


def _groups(configuration: Mapping[str, Any], env: Any, part: str) -> list[str]:
    """Groups of observations that the actor takes: as said, or as rsl_rl fills in."""
    said = (configuration.get("obs_groups") or {}).get(part)
    if said:
        return list(said)
    space = env.observation_space
    if kind_of(space) == "Dict" and part in space.spaces:
        return [part]
    return ["policy"]


def _first_observation(env: Any, groups: list[str]) -> Any:
    observation, _ = env.reset(seed=0)
    return groups_of(observation, groups)
