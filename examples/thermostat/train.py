"""Train the policy of the room: `python -m examples.thermostat.train`."""

from pathlib import Path

from examples.distributions import Gaussian
from examples.ppo import Settings
from examples.task import Task
from examples.thermostat.environment import Room
from examples.thermostat.preprocessor import preprocess
from examples.thermostat.rule import rule
from examples.training import main

TASK = Task(Room, preprocess, rule, Gaussian())
SETTINGS = Settings(steps=600_000, discount=0.9, entropy_bonus=0.001)

if __name__ == "__main__":
    main(TASK, SETTINGS, Path(__file__).parent)
