"""The families by name, as descriptions of networks call them, and by what they read."""

from collections.abc import Mapping
from dataclasses import dataclass

from policy_server.contract.actions import Kind
from policy_server.policy.families.beta import Beta
from policy_server.policy.families.binary import Binary
from policy_server.policy.families.categorical import Categorical
from policy_server.policy.families.deterministic import Deterministic
from policy_server.policy.families.family import Family
from policy_server.policy.families.gaussian import DiagonalGaussian
from policy_server.policy.families.given import Given
from policy_server.policy.families.greedy import Costs, Greedy
from policy_server.policy.families.mixed import Mixed, MixedMeans
from policy_server.policy.families.probabilities import Probabilities
from policy_server.policy.families.recognition import Output, Reading
from policy_server.policy.families.squashed import SquashedGaussian

_PACKAGE = __name__.rpartition(".")[0]
_families: dict[str, type[Family]] = {}
FAMILIES: Mapping[str, type[Family]] = _families
"""Every family by its name. Where several fit, the first is taken."""


def register(family: type[Family]) -> None:
    """Add a family to those that are served.

    Raises:
        ValueError: Another family has its name.
    """
    if _families.setdefault(family.name, family) is not family:
        raise ValueError(f"there is a family called {family.name} already")


for _family in (
    *(Categorical, Probabilities, Binary, Greedy, Costs, Given),
    *(Deterministic, DiagonalGaussian, SquashedGaussian, Beta),
    *(Mixed, MixedMeans),
):
    register(_family)


def families_of(kind: Kind) -> list[type[Family]]:
    """The families whose actions are of a kind."""
    return [family for family in FAMILIES.values() if family.kind is kind]


def alternatives(family: Family) -> list[type[Family]]:
    """The other families whose actions are of the same kind."""
    return [other for other in families_of(family.kind) if other.name != family.name]


@dataclass(frozen=True)
class ReadAs:
    """How an output is read.

    Attributes:
        family: Of the distributions that it selects from.
        reading: What its numbers stand for.
    """

    family: type[Family]
    reading: Reading


def all_readings() -> list[ReadAs]:
    """Every reading of every family."""
    return [ReadAs(family, each) for family in FAMILIES.values() for each in family.readings]


def declared_reading(word: str, output: Output, kind: Kind) -> ReadAs:
    """What a word of `model.yaml` means for an output.

    Several families may have the same word: the one that the numbers themselves say is meant, then
    one of the contract's kind. One of another kind contradicts the contract, which is told later.
    """

    def unfit(each: ReadAs) -> tuple[bool, bool]:
        return not each.family.recognises(output, kind), each.family.kind is not kind

    return min((each for each in all_readings() if each.reading.word == word), key=unfit)


def named_reading(name: str, kind: Kind) -> ReadAs | None:
    """What an output's name says, of the contract's kind if it can; None if it says nothing."""
    named = [
        each for each in all_readings() if name in (*each.reading.names, *each.reading.sure_names)
    ]
    return min(named, key=lambda each: each.family.kind is not kind, default=None)


def reading_words() -> list[str]:
    """All that `model.yaml` may say of an output."""
    return list(dict.fromkeys(each.reading.word for each in all_readings()))


def role_sets() -> dict[tuple[str, ...], list[str]]:
    """What several outputs may be that together are read, and the words of these readings."""
    found: dict[tuple[str, ...], list[str]] = {}
    for each in all_readings():
        if each.reading.roles:
            found.setdefault(each.reading.roles, []).append(each.reading.word)
    return found


def sure_names() -> list[str]:
    """Names of outputs that say what they hold, whatever the model itself draws."""
    return [name for each in all_readings() for name in each.reading.sure_names]


def output_names() -> list[str]:
    """Names of outputs that say what they hold, the surest first."""
    names = [name for each in all_readings() for name in each.reading.names]
    return list(dict.fromkeys([*sure_names(), *names]))


def plug_in_modules() -> list[str]:
    """The modules of families from outside of this package: a build needs them as well."""
    modules = dict.fromkeys(family.__module__ for family in FAMILIES.values())
    return [module for module in modules if module.rpartition(".")[0] != _PACKAGE]
