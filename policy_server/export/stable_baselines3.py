"""Exports policies of Stable-Baselines3: PPO, A2C, DQN, SAC, TD3 and DDPG.

    python export_policy.py --algorithm PPO --checkpoint model.zip
        --env CartPole-v1 --output folder

Or in Python, where a policy was trained: `export(model, env, "folder")`.
"""

from collections.abc import Mapping
from typing import Any

import stable_baselines3

from policy_server.export.folder import write_folder
from policy_server.export.sb3_policies import Policy
from policy_server.export.spaces import ExportRefused
from policy_server.export.trained import Options

OPTIONS = {
    "algorithm": "PPO, A2C, DQN, SAC, TD3 or DDPG.",
    "normalisation": "File of VecNormalize, if training used it.",
}
REQUIRED = ("algorithm",)


def export(model: Any, env: Any, folder: str, normalisation: Any = None, **options: Any) -> None:
    """Write a model as a folder that `policy-server publish` takes.

    Args:
        model: That was trained; it is moved to the CPU.
        env: Of Gymnasium, as training had it, but without VecNormalize.
        folder: Where to.
        normalisation: VecNormalize or its file, where the model does not have it.
        options: As of `Options`.
    """
    write_folder(Policy(model, env, normalisation), env, folder, Options(**options))


def export_checkpoint(given: Mapping[str, str], env: Any, options: Options) -> None:
    """Write the folder of a zip that `model.save` wrote."""
    algorithm = getattr(stable_baselines3, given["algorithm"], None)
    if algorithm is None:
        raise ExportRefused(f"Stable-Baselines3 has no {given['algorithm']}; see --help.")
    model = algorithm.load(given["checkpoint"], device="cpu")
    trained = Policy(model, env, given.get("normalisation"))
    write_folder(trained, env, given["output"], options)
