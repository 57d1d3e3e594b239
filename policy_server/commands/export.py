"""`export`: a policy as its framework saved it becomes a folder that `publish` takes."""

import difflib
import importlib
from collections.abc import Mapping

from policy_server.errors import ConfigurationError, Fault
from policy_server.export.registry import FRAMEWORKS
from policy_server.export.script import script_of

SUMMARY = "The policy cannot be exported."


def export(
    framework: str,
    checkpoint: str | None = None,
    env: str | None = None,
    output: str | None = None,
    algorithm: str | None = None,
    normalisation: str | None = None,
    agent: str | None = None,
    reads: str | None = None,
    action_range: str | None = None,
    env_options: str | None = None,
    names: str | None = None,
    actions: str | None = None,
    meanings: str | None = None,
    script: bool = False,
) -> None:
    """Write what a framework trained as a folder for publish.

    Args:
        framework: One of stable-baselines3, sb3-contrib, cleanrl, torch, keras, rllib, tf-agents,
            rsl_rl.
        checkpoint: What training saved.
        env: The environment: an id of Gymnasium, or `module:function` that makes it.
        output: Folder to write.
        algorithm: Of Stable-Baselines3 and sb3-contrib, such as PPO.
        normalisation: File of statistics that training used, such as of VecNormalize.
        agent: Of cleanrl and torch: `module:Class` of what decides; of tf-agents: `module:function`
            that makes the agent; of rsl_rl: the runner's configuration; of rllib: a module's name.
        reads: Of torch and keras: what the network's output is, as in model.yaml.
        action_range: Of the same: its numbers that stand for the bounds of actions, -1,1.
        env_options: JSON: what the environment is made with.
        names: Of the numbers of an observation, with commas; a Dict has its keys.
        actions: Of the numbers of an action, with commas.
        meanings: Of the numbers of a Discrete action, with commas.
        script: Print a Python file that does this elsewhere, without this server.
    """
    given = {name: value for name, value in locals().items() if isinstance(value, str)}
    _export(given.pop("framework"), given, script)


def _export(framework: str, given: Mapping[str, str], script: bool) -> None:
    if framework not in FRAMEWORKS:
        near = difflib.get_close_matches(framework, FRAMEWORKS, 1)
        known = f"do you mean {near[0]}?" if near else f"these are: {', '.join(FRAMEWORKS)}."
        raise ConfigurationError(SUMMARY, [Fault(framework, f"is no framework here; {known}")])
    if script:
        print(script_of(FRAMEWORKS[framework]), end="")
        return
    try:
        command_line = importlib.import_module("policy_server.export.command_line")
        kit = importlib.import_module(f"policy_server.export.{FRAMEWORKS[framework]}")
    except ImportError as error:
        remedy = (
            f"is not installed beside this server ({error}). Where it is, run what "
            f"`policy-server export {framework} --script > export_policy.py` writes."
        )
        raise ConfigurationError(SUMMARY, [Fault(framework, remedy)]) from error
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    command_line.run(kit.export_checkpoint, kit.OPTIONS, kit.REQUIRED, kit.__doc__, words)
