"""The frameworks whose policies can be exported."""

from collections.abc import Mapping

FRAMEWORKS: Mapping[str, str] = {
    "stable-baselines3": "stable_baselines3",
    "sb3-contrib": "sb3_contrib",
    "cleanrl": "cleanrl",
    "torch": "torch",
    "keras": "keras",
    "rllib": "rllib",
    "tf-agents": "tf_agents",
    "rsl_rl": "rsl_rl",
}
"""As users call them, with the file of each in this room."""
