"""Exports policies of RLlib's new API stack: PPO, APPO and IMPALA, with their connectors.

    python export_policy.py --checkpoint checkpoint --env CartPole-v1 --output folder

Or in Python, where a policy was trained: `export(algorithm, env, "folder")`.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.rllib.connectors.env_to_module import EnvToModulePipeline
from ray.rllib.connectors.module_to_env import ModuleToEnvPipeline
from ray.rllib.core.rl_module.rl_module import RLModule

from policy_server.export.folder import write_folder
from policy_server.export.rllib_policies import ModulePolicy
from policy_server.export.spaces import ExportRefused
from policy_server.export.trained import Options

OPTIONS = {"agent": "Name of the RLModule, where it is another than default_policy."}
REQUIRED = ()
MODULES = Path("learner_group/learner/rl_module")
MODULE = "default_policy"


def export(algorithm: Any, env: Any, folder: str, **options: Any) -> None:
    """Write a policy as a folder that `policy-server publish` takes.

    Args:
        algorithm: That was trained, or the folder of its checkpoint.
        env: Of Gymnasium, as training had it.
        folder: Where to.
        options: As of `Options`.
    """
    with tempfile.TemporaryDirectory() as saved:
        checkpoint = algorithm
        if not isinstance(algorithm, str | Path):
            algorithm.save_to_path(saved)
            checkpoint = saved
        write_folder(policy_of(Path(checkpoint), env), env, folder, Options(**options))


def export_checkpoint(given: Mapping[str, str], env: Any, options: Options) -> None:
    """Write the folder of a checkpoint that `algorithm.save_to_path` or Ray Tune wrote."""
    trained = policy_of(Path(given["checkpoint"]), env, given.get("agent", MODULE))
    write_folder(trained, env, given["output"], options)


def policy_of(checkpoint: Path, env: Any, module: str = MODULE) -> ModulePolicy:
    """The policy of a checkpoint with the connectors that it was trained with.

    Args:
        checkpoint: Folder of an algorithm.
        env: As training had it.
        module: Name of the RLModule.
    """
    checkpoint = checkpoint.resolve()
    _check(checkpoint, module)
    return ModulePolicy(
        RLModule.from_checkpoint(checkpoint / MODULES / module),
        EnvToModulePipeline.from_checkpoint(checkpoint / "env_runner/env_to_module_connector"),
        ModuleToEnvPipeline.from_checkpoint(checkpoint / "env_runner/module_to_env_connector"),
        env,
    )


def _check(checkpoint: Path, module: str) -> None:
    """Raise ExportRefused where a folder is not what it has to be."""
    about = checkpoint / "rllib_checkpoint.json"
    if not about.is_file():
        raise ExportRefused(
            f"{checkpoint} is no checkpoint of RLlib: it has no rllib_checkpoint.json. Give the "
            "folder that algorithm.save_to_path wrote."
        )
    if not (checkpoint / MODULES).is_dir():
        said = json.loads(about.read_text(encoding="utf-8"))
        version = said.get("ray_version", "unknown")
        raise ExportRefused(
            f"{checkpoint} (Ray {version}) is of the old API stack, or of one of its parts alone. "
            "Of the old stack, write the model by algorithm.get_policy().export_model(folder, "
            "onnx=17), and publish that."
        )
    names = sorted(path.name for path in (checkpoint / MODULES).iterdir() if path.is_dir())
    if module not in names:
        raise ExportRefused(
            f"The checkpoint has no module {module}; say which of {', '.join(names)} (--agent)."
        )
    if not (checkpoint / "env_runner/env_to_module_connector").is_dir():
        raise ExportRefused(
            f"{checkpoint} has no connectors, so that nobody knows what was done to observations: "
            "it was made by training without environment runners."
        )
