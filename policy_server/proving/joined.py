"""Outputs that are served side by side, as one: what `output` in model.yaml says of several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import yaml

from policy_server.contract.document import FaultList, entries, plain_value
from policy_server.contract.fields.bounded import is_finite_number
from policy_server.policy.families.registry import role_sets

STANDARD_DEVIATION = "std"
SPELT_OTHERWISE = {STANDARD_DEVIATION: "log_std"}
"""Roles that are made into another one: of a standard deviation the logarithm is taken."""


@dataclass(frozen=True)
class Piece:
    """One of several outputs.

    Attributes:
        source: Name of the output; or the numbers themselves, where no output has them.
        role: What its numbers are: `mean`, `std`; empty for a head of its own.
    """

    source: str | tuple[float, ...]
    role: str = ""

    @property
    def words(self) -> str:
        """What it is, in a sentence."""
        named = isinstance(self.source, str)
        return f"`{self.source}`" if named else f"the numbers of `{self.role}`"


@dataclass(frozen=True)
class Joined:
    """Several outputs.

    Attributes:
        pieces: In the order in which their numbers are wanted.
    """

    pieces: tuple[Piece, ...]

    @property
    def name(self) -> str:
        """What the output is called that they make up."""
        return "+".join(
            each.source if isinstance(each.source, str) else each.role for each in self.pieces
        )

    @property
    def names(self) -> list[str]:
        """The outputs that are named."""
        return [each.source for each in self.pieces if isinstance(each.source, str)]

    @property
    def readings(self) -> list[str]:
        """The readings that they are for, the usual one first; empty for heads."""
        return role_sets().get(_roles(self.pieces), [])

    @property
    def are_heads(self) -> bool:
        """Each is a head of its own."""
        return not any(each.role for each in self.pieces)


def read_output(name: str, node: yaml.Node, faults: FaultList) -> str | Joined | None:
    """What `output` says: one name, a list of heads, or a mapping from roles."""
    if isinstance(node, yaml.SequenceNode):
        return _heads(name, node, faults)
    if isinstance(node, yaml.MappingNode):
        return _by_role(name, node, faults)
    if node.value.strip():
        return str(node.value)
    faults.add(node, f"`{name}` takes the name of an output, a list or a mapping of names.")
    return None


def _heads(name: str, node: yaml.SequenceNode, faults: FaultList) -> Joined | None:
    names = [each.value for each in node.value if isinstance(each, yaml.ScalarNode)]
    if len(names) != len(node.value) or len(set(names)) < max(2, len(names)) or "" in names:
        faults.add(node, f"`{name}` as a list takes names of outputs, two at least, each once.")
        return None
    return Joined(tuple(map(Piece, names)))


def _by_role(name: str, node: yaml.MappingNode, faults: FaultList) -> Joined | None:
    pieces = list(_pieces(node, faults))
    known = role_sets()
    order = next((roles for roles in known if {*roles} == {*_roles(pieces)}), None)
    if order is None or len(pieces) != len(order):
        given = [role for role, *_ in entries(node, FaultList(""))]
        faults.add(node, _unknown_roles(name, given))
        return None
    by_role = dict(zip(_roles(pieces), pieces, strict=True))
    joined = Joined(tuple(by_role[role] for role in order))
    if not isinstance(joined.pieces[0].source, str):
        faults.add(node, f"`{order[0]}` takes the name of an output: it depends on observations.")
        return None
    return joined


def _pieces(node: yaml.MappingNode, faults: FaultList) -> Iterator[Piece]:
    for role, _, value in entries(node, faults):
        if isinstance(value, yaml.ScalarNode) and value.value.strip():
            yield Piece(str(value.value), role)
            continue
        try:
            numbers = plain_value(value)
        except ValueError:
            numbers = None
        if isinstance(numbers, list) and numbers and all(map(is_finite_number, numbers)):
            if role == STANDARD_DEVIATION and min(numbers) <= 0:
                faults.add(value, f"`{role}` takes positive numbers.")
            yield Piece(tuple(map(float, numbers)), role)
        else:
            faults.add(value, f"`{role}` takes the name of an output, or a list of numbers.")
            yield Piece("", role)


def _roles(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """The roles as families know them."""
    return tuple(SPELT_OTHERWISE.get(each.role, each.role) for each in pieces)


def _unknown_roles(name: str, given: list[str]) -> str:
    sets = [" and ".join(f"`{role}`" for role in roles) for roles in role_sets()]
    known = [*SPELT_OTHERWISE, *(role for roles in role_sets() for role in roles)]
    near = {role: get_close_matches(role, known, 1) for role in given if role not in known}
    hints = [f"do you mean `{found[0]}` by `{role}`?" for role, found in near.items() if found]
    return (
        f"`{name}` as a mapping takes {', or '.join(sets)}; `std` stands for `log_std` where it is "
        f"no logarithm. {' '.join(hints)}".rstrip()
    )
