"""Policies of Stable-Baselines3 and sb3-contrib."""

import json
from collections.abc import Sequence
from typing import Any

from tests.frameworks.cases import Case

REQUIREMENTS = ("stable-baselines3==2.9.2", "sb3-contrib==2.9.2", "torch==2.15.0")


def _case(name: str, algorithm: str, env: str, *options: str, **training: Any) -> Case:
    """A case of Stable-Baselines3 or sb3-contrib.

    Args:
        name: Of the case.
        algorithm: Name of its class.
        env: The environment.
        options: Of the kit.
        training: As of `train_stable_baselines3.py`; and `env_options`.
    """
    made_with = training.pop("env_options", {})
    training = {"policy": "MlpPolicy", "policy_kwargs": {"net_arch": [16]}, **training}
    contrib = algorithm in ("MaskablePPO", "RecurrentPPO", "TQC")
    if training.get("normalise"):
        options = (*options, "--normalisation", "statistics.pkl")
    return Case(
        name=name,
        framework="sb3-contrib" if contrib else "stable-baselines3",
        training="stable_baselines3",
        requirements=REQUIREMENTS,
        env=env,
        env_options=made_with,
        arguments=(algorithm, env, json.dumps(made_with), json.dumps(training)),
        options=("--algorithm", algorithm, *options),
        memory=algorithm == "RecurrentPPO",
    )


SHORT = {"max_episode_steps": 60}
POLE = ("--names", "position,speed,angle,turn", "--meanings", "left,right")
PENDULUM = ("--names", "x,y,turn", "--actions", "torque")
OFF_POLICY = {"steps": 1_500, "learning_starts": 200, "buffer_size": 2_000}
CASES: Sequence[Case] = (
    _case("sb3_ppo", "PPO", "CartPole-v1", *POLE, env_options=SHORT, steps=3_000, normalise=True),
    _case(
        "sb3_ppo_controls",
        "PPO",
        "environments:ferry",
        env_options={"actions": "controls"},
        policy="MultiInputPolicy",
        steps=3_000,
    ),
    _case(
        "sb3_a2c",
        "A2C",
        "environments:ferry",
        env_options={"actions": "engine"},
        policy="MultiInputPolicy",
        steps=3_000,
    ),
    _case("sb3_dqn", "DQN", "CartPole-v1", env_options=SHORT, **OFF_POLICY),
    _case(
        "sb3_sac",
        "SAC",
        "Pendulum-v1",
        *PENDULUM,
        env_options={"max_episode_steps": 40},
        **OFF_POLICY,
    ),
    _case("sb3_td3", "TD3", "Pendulum-v1", env_options={"max_episode_steps": 40}, **OFF_POLICY),
    _case(
        "sb3_maskable_ppo",
        "MaskablePPO",
        "environments:ferry",
        env_options={"masked": True},
        policy="MultiInputPolicy",
        steps=3_000,
    ),
    _case(
        "sb3_recurrent_ppo",
        "RecurrentPPO",
        "environments:cart_without_speeds",
        "--names",
        "position,angle",
        env_options=SHORT,
        policy="MlpLstmPolicy",
        policy_kwargs={"net_arch": [16], "lstm_hidden_size": 8},
        steps=6_000,
        n_steps=256,
        learning_rate=3e-3,
    ),
    _case("sb3_tqc", "TQC", "Pendulum-v1", env_options={"max_episode_steps": 40}, **OFF_POLICY),
)
