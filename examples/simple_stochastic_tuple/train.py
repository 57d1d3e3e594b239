"""Train the policy of the doors: `python -m examples.simple_stochastic_tuple.train`."""

from pathlib import Path

from examples.distributions import Categorical
from examples.ppo import Settings
from examples.simple_stochastic_tuple.environment import Doors
from examples.simple_stochastic_tuple.preprocessor import preprocess
from examples.simple_stochastic_tuple.rule import rule
from examples.task import Task
from examples.training import main

TASK = Task(Doors, preprocess, rule, Categorical((2, 3)))
SETTINGS = Settings(steps=100_000)

if __name__ == "__main__":
    main(TASK, SETTINGS, Path(__file__).parent)
