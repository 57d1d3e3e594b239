"""The families by name, as descriptions of networks call them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from policy_server.policy.families.categorical import Categorical
from policy_server.policy.families.deterministic import Deterministic
from policy_server.policy.families.family import Numbered, Real
from policy_server.policy.families.gaussian import DiagonalGaussian
from policy_server.policy.families.given import Given
from policy_server.policy.families.greedy import Costs, Greedy
from policy_server.policy.families.probabilities import Probabilities

FamilyName = Literal[
    "categorical", "probabilities", "greedy", "costs", "given", "gaussian", "deterministic"
]
FAMILIES: Mapping[FamilyName, Callable[[Sequence[int]], Numbered | Real]] = {
    "categorical": Categorical,
    "probabilities": Probabilities,
    "greedy": Greedy,
    "costs": Costs,
    "given": Given,
    "gaussian": DiagonalGaussian,
    "deterministic": Deterministic,
}
"""Made of the actions of each head, or the dimensions of each component."""
