"""Trains a small policy of RLlib's new API stack by PPO, and records its episodes.

`python train_rllib.py ENV ENV_OPTIONS TRAINING FOLDER`, TRAINING being JSON: `iterations`,
`connectors` (names of RLlib's) and `model`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import ray
import recording  # type: ignore[import-not-found]  # lies beside it where it runs
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.connectors import env_to_module
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.env.single_agent_episode import SingleAgentEpisode
from ray.tune.registry import register_env


def main(env: str, env_options: str, training: str, folder: str) -> None:
    """Train, save, record."""
    start_node()
    register_env("made", lambda _: recording.make(env, env_options))
    algorithm = trained(json.loads(training))
    algorithm.save_to_path(str(Path(folder) / "checkpoint"))
    record(algorithm, recording.make(env, env_options), Path(folder) / "recorded.npz")
    algorithm.stop()
    ray.shutdown()


def trained(words: dict[str, Any]) -> Any:
    """An algorithm that has learned."""
    names = words.get("connectors", [])

    def connectors(*_: Any, **__: Any) -> list[Any]:
        return [getattr(env_to_module, name)() for name in names]

    config = (
        PPOConfig()
        .environment("made")
        .debugging(seed=1)
        .env_runners(num_env_runners=0, env_to_module_connector=connectors)
        .learners(num_learners=0)
        .training(train_batch_size_per_learner=1_000, minibatch_size=100, num_epochs=5, lr=3e-3)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[16], **words.get("model", {})))
    )
    algorithm = config.build_algo()
    for _ in range(words["iterations"]):
        algorithm.train()
    return algorithm


def record(algorithm: Any, made: Any, path: Path) -> None:
    """Play episodes by the module and the connectors of an algorithm, without exploration."""
    runner, module = algorithm.env_runner, algorithm.get_module()
    for each in runner._env_to_module.connectors:
        if type(each).__name__ == "MeanStdFilter":
            each._update_stats = False
    pieces = runner._env_to_module, runner._module_to_env

    def decide(observation: Any, state: Any, _: Any) -> tuple[Any, dict[str, Any], Any]:
        spaces = {
            "observation_space": made.observation_space,
            "action_space": made.action_space,
        }
        if state is None:
            episode = SingleAgentEpisode(observations=[observation], **spaces)
        else:
            episode, action, extra = state
            episode.add_env_step(observation, action, 0.0, extra_model_outputs=extra)
        more = {"rl_module": module, "explore": False, "shared_data": {}}
        with torch.no_grad():
            found = module.forward_inference(pieces[0](episodes=[episode], **more))
        drawn = module.get_inference_action_dist_cls().from_logits(
            found["action_dist_inputs"].reshape(1, -1)
        )
        found = pieces[1](batch=found, episodes=[episode], **more)
        action = found.get("actions_for_env", found["actions"])[0]
        extra = {"state_out": found["state_out"][0]} if "state_out" in found else {}
        return action, parameters(drawn), (episode, found["actions"][0], extra)

    recording.record(made, decide, path)


def start_node() -> None:
    """A node of Ray on this machine, which gives itself 30 seconds to start: too few on some."""
    for left in (2, 1, 0):
        try:
            ray.init(
                num_cpus=1,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
                _node_ip_address="127.0.0.1",
            )
        except Exception:
            ray.shutdown()
            if not left:
                raise
        else:
            return


def parameters(drawn: Any) -> dict[str, Any]:
    """Of what actions are drawn from."""
    if hasattr(drawn, "_cats"):
        each = [head._dist.probs.numpy()[0] for head in drawn._cats]
        return {"probabilities": [number for head in each for number in head]}
    if hasattr(drawn, "loc"):
        return {"means": drawn.loc.numpy()[0], "deviations": drawn._dist.stddev.numpy()[0]}
    return {"probabilities": drawn._dist.probs.numpy()[0]}


if __name__ == "__main__":
    main(*sys.argv[1:])
