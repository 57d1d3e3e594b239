"""Train the policy of the grid factory: `python -m examples.lpoc.train`."""

from pathlib import Path

from examples.distributions import Categorical
from examples.lpoc.environment import GridFactory
from examples.lpoc.preprocessor import preprocess
from examples.lpoc.rule import rule
from examples.ppo import Settings
from examples.task import Task
from examples.training import main

TASK = Task(GridFactory, preprocess, rule, Categorical((5,)))
SETTINGS = Settings(steps=1_500_000)

if __name__ == "__main__":
    main(TASK, SETTINGS, Path(__file__).parent)
