"""Policies of CleanRL's scripts, and networks of PyTorch and of Keras."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.frameworks.cases import Case

TORCH = ("torch==2.15.0", "gymnasium==1.4.0", "onnx==1.23.2", "onnxscript==0.7.2")
KERAS = ("tensorflow==2.21.0", "gymnasium==1.4.0")
ENGINE = {"actions": "engine"}


def _cleanrl(
    name: str, agent: str, env: str, env_options: Mapping[str, Any], *options: str, steps: int
) -> Case:
    return Case(
        name=name,
        framework="cleanrl",
        training="cleanrl",
        requirements=TORCH,
        env=env,
        env_options=env_options,
        arguments=(agent, env, json.dumps(env_options), str(steps)),
        options=("--agent", f"train_cleanrl:{agent}", *options),
        checkpoint="checkpoint.cleanrl_model",
    )


CASES: Sequence[Case] = (
    _cleanrl("cleanrl_ppo", "Agent", "CartPole-v1", {"max_episode_steps": 60}, steps=5_000),
    _cleanrl(
        "cleanrl_ppo_continuous",
        "ContinuousAgent",
        "Pendulum-v1",
        {"max_episode_steps": 40},
        *("--normalisation", "statistics.npz"),
        steps=4_000,
    ),
    Case(
        name="torch",
        framework="torch",
        training="torch",
        requirements=TORCH,
        env="environments:ferry",
        env_options=ENGINE,
        arguments=(json.dumps(ENGINE),),
        options=("--agent", "train_torch:Helm", "--reads", "means", "--action-range=-1,1"),
        checkpoint="checkpoint.pt",
    ),
    Case(
        name="keras",
        framework="keras",
        training="keras",
        requirements=KERAS,
        env="CartPole-v1",
        env_options={"max_episode_steps": 60},
        arguments=("CartPole-v1", '{"max_episode_steps": 60}', "60"),
        options=("--reads", "logits"),
        checkpoint="checkpoint.keras",
    ),
)
