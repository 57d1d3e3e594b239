"""Exports policies of TF-Agents: PPO, REINFORCE, DQN, SAC, DDPG and TD3, recurrent or not.

    python export_policy.py --checkpoint checkpoint --agent my_module:make_agent
        --env CartPole-v1 --output folder

Or in Python, where a policy was trained: `export(agent, env, "folder")`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from policy_server.export.command_line import named
from policy_server.export.folder import write_folder
from policy_server.export.spaces import ExportRefused
from policy_server.export.tf_agents_policies import AgentPolicy
from policy_server.export.trained import Options

OPTIONS = {
    "agent": "`module:function` that makes the agent as training made it, not yet trained.",
}
REQUIRED = ("agent",)


def export(agent: Any, env: Any, folder: str, **options: Any) -> None:
    """Write a policy as a folder that `policy-server publish` takes.

    Args:
        agent: Of TF-Agents, or a policy of one.
        env: Of Gymnasium, with what training's wrappers did.
        folder: Where to.
        options: As of `Options`.
    """
    policy = getattr(agent, "policy", agent)
    write_folder(AgentPolicy(policy, env), env, folder, Options(**options))


def export_checkpoint(given: Mapping[str, str], env: Any, options: Options) -> None:
    """Write the folder of a checkpoint that `common.Checkpointer` wrote."""
    folder = Path(given["checkpoint"])
    if (folder / "saved_model.pb").is_file():
        raise ExportRefused(
            f"{folder} is what PolicySaver wrote: it says which actions are taken, not what they "
            "are drawn by. Give the folder of `common.Checkpointer`; or publish this as it is."
        )
    latest = tf.train.latest_checkpoint(str(folder)) if folder.is_dir() else str(folder)
    if latest is None or not Path(f"{latest}.index").is_file():
        raise ExportRefused(f"There is no checkpoint of TensorFlow at {folder}.")
    agent = named(given["agent"])()
    parts = {name.split("/")[0] for name, _ in tf.train.list_variables(latest)}
    if "agent" in parts:
        status = tf.train.Checkpoint(agent=agent).restore(latest)
    elif "policy" in parts:
        status = tf.train.Checkpoint(policy=agent.policy).restore(latest)
    else:
        raise ExportRefused(
            f"The checkpoint has {', '.join(sorted(parts))}, but neither `agent` nor `policy`: "
            "write it by common.Checkpointer(folder, agent=agent)."
        )
    try:
        status.assert_existing_objects_matched().expect_partial()
    except AssertionError as error:
        raise ExportRefused(
            f"The agent of {given['agent']} is not the one that the checkpoint was made of: {error}"
        ) from error
    write_folder(AgentPolicy(agent.policy, env), env, given["output"], options)
