"""Policies of RLlib, TF-Agents and rsl_rl."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.frameworks.cases import Case

RLLIB = ("ray[rllib]==2.60.0", "torch==2.15.0", "gymnasium==1.2.2")
TF_AGENTS = ("tf-agents==0.19.0", "tensorflow-cpu==2.15.1", "gymnasium==1.2.2")
RSL_RL = ("rsl-rl-lib==5.5.1", "torch==2.15.0", "gymnasium==1.4.0")
RSL_RL_3 = ("rsl-rl-lib==3.1.2", "torch==2.15.0", "gymnasium==1.4.0")
POLE = {"max_episode_steps": 60}
PENDULUM = {"max_episode_steps": 40}


def _rllib(
    name: str,
    env: str,
    env_options: Mapping[str, Any],
    *options: str,
    memory: bool = False,
    **training: Any,
) -> Case:
    chosen = {"iterations": 4, **training}
    return Case(
        name=name,
        framework="rllib",
        training="rllib",
        requirements=RLLIB,
        env=env,
        env_options=env_options,
        arguments=(env, json.dumps(env_options), json.dumps(chosen)),
        options=options,
        checkpoint="checkpoint",
        memory=memory,
    )


def _tf_agents(
    agent: str, env: str, env_options: Mapping[str, Any], *options: str, rounds: int
) -> Case:
    return Case(
        name=f"tf_agents_{agent}",
        framework="tf-agents",
        training="tf_agents",
        requirements=TF_AGENTS,
        env=env,
        env_options=env_options,
        arguments=(agent, env, json.dumps(env_options), str(rounds)),
        options=("--agent", f"train_tf_agents:{agent}", *options),
        checkpoint="checkpoint",
        memory=agent == "ppo_recurrent",
    )


def _rsl_rl(
    name: str, *options: str, version: int = 5, memory: bool = False, **training: Any
) -> Case:
    chosen = {"version": version, "iterations": 20, **training}
    return Case(
        name=name,
        framework="rsl_rl",
        training="rsl_rl",
        requirements=RSL_RL if version == 5 else RSL_RL_3,
        env="Pendulum-v1",
        env_options=PENDULUM,
        arguments=("Pendulum-v1", json.dumps(PENDULUM), json.dumps(chosen)),
        options=("--agent", "agent.json", *options),
        checkpoint="model.pt",
        memory=memory,
    )


POSITION = ("--names", "position,speed,angle,turn", "--meanings", "left,right")
CASES: Sequence[Case] = (
    _rllib("rllib_ppo", "CartPole-v1", POLE, *POSITION, connectors=["MeanStdFilter"]),
    _rllib(
        "rllib_ppo_recurrent",
        "environments:cart_without_speeds",
        POLE,
        *("--names", "position,angle"),
        memory=True,
        model={"use_lstm": True, "lstm_cell_size": 8, "max_seq_len": 10},
    ),
    _tf_agents("ppo", "CartPole-v1", POLE, *POSITION, rounds=5),
    _tf_agents(
        "ppo_recurrent",
        "environments:cart_without_speeds",
        POLE,
        *("--names", "position,angle"),
        rounds=5,
    ),
    _tf_agents("dqn", "CartPole-v1", POLE, rounds=4),
    _tf_agents("sac", "Pendulum-v1", PENDULUM, rounds=4),
    _rsl_rl("rsl_rl_ppo", "--names", "x,y,turn", "--actions", "torque", normalised=True),
    _rsl_rl(
        "rsl_rl_ppo_recurrent", memory=True, rnn_type="gru", rnn_hidden_dim=8, rnn_num_layers=2
    ),
    _rsl_rl(
        "rsl_rl_3_ppo_recurrent",
        version=3,
        memory=True,
        normalised=True,
        rnn_type="lstm",
        rnn_hidden_dim=8,
    ),
)
