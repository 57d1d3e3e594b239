"""`memory` in model.yaml: what a policy carries from step to step, as the person who trained says.

Either pairs, an input and the output that it takes at the next step, or a stack of observations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

import yaml

from policy_server.contract.document import FaultList, entries, plain_value
from policy_server.contract.fields.bounded import is_finite_number
from policy_server.policy.memory import GREATEST, Padding

PAIR = ("input", "output", "initial")
STACK = ("frames", "padding")
PADDINGS: dict[str, Padding] = {"zeros": "zeros", "first": "first"}
MOST_FRAMES = 1000
FORM = (
    "such as `memory: [{input: h_in, output: h_out}, {input: c_in, output: c_out}]`, or "
    "`memory: {frames: 4, padding: zeros}` of a stack of observations"
)


@dataclass(frozen=True)
class Pair:
    """A state of a recurrent network.

    Attributes:
        input: Name of the input that takes it.
        output: Name of the output that gives the next one.
        initial: What an episode begins with: a number for each of its own, or one for all of
            them; zeros where there are none.
    """

    input: str
    output: str
    initial: tuple[float, ...] = ()

    @property
    def words(self) -> str:
        """As model.yaml says it."""
        return f"{{input: {self.input}, output: {self.output}}}"


@dataclass(frozen=True)
class Stack:
    """A stack of observations, oldest first.

    Attributes:
        frames: k, how many there are.
        padding: What fills those before an episode's first observation.
    """

    frames: int
    padding: Padding = "zeros"


DeclaredMemory: TypeAlias = tuple[Pair, ...] | Stack


def read_memory(key: str, node: yaml.Node, faults: FaultList) -> DeclaredMemory | None:
    """Read `memory`: a list of pairs, or a mapping with `frames`."""
    if isinstance(node, yaml.SequenceNode) and node.value:
        return _pairs(key, node, faults)
    if isinstance(node, yaml.MappingNode):
        return _stack(key, node, faults)
    faults.add(node, f"`{key}` takes a list of states, {FORM}.")
    return None


def line_of_pairs(pairs: Sequence[Pair]) -> str:
    """The line of model.yaml that says which output each input takes."""
    return f"`memory: [{', '.join(each.words for each in pairs)}]`"


def _pairs(key: str, node: yaml.SequenceNode, faults: FaultList) -> tuple[Pair, ...]:
    found: list[Pair] = []
    for item in node.value:
        if not isinstance(item, yaml.MappingNode):
            faults.add(item, f"`{key}` takes a mapping for each state, {FORM}.")
            continue
        given = _known(item, PAIR, faults)
        names = {name: _name(name, given.get(name), item, faults) for name in PAIR[:2]}
        initial = _initial(given["initial"], faults) if "initial" in given else ()
        for name, taken in (("input", names["input"]), ("output", names["output"])):
            if taken and any(getattr(each, name) == taken for each in found):
                faults.add(item, f"`{key}` names the {name} `{taken}` twice: keep one of them.")
        found.append(Pair(names["input"], names["output"], initial))
    return tuple(found)


def _name(key: str, node: yaml.Node | None, item: yaml.Node, faults: FaultList) -> str:
    if isinstance(node, yaml.ScalarNode) and node.value.strip():
        return str(node.value)
    faults.add(node or item, f"a state needs `{key}`, the name of an {key} of the model.")
    return ""


def _initial(node: yaml.Node, faults: FaultList) -> tuple[float, ...]:
    try:
        value = plain_value(node)
    except ValueError:
        value = None
    numbers = value if isinstance(value, list) else [value]
    sound = [float(each) for each in numbers if is_finite_number(each)]
    if len(sound) < len(numbers) or not sound or max(map(abs, sound)) > GREATEST:
        faults.add(node, "`initial` takes a number, or a list with one for each of the state.")
        return ()
    return tuple(sound)


def _stack(key: str, node: yaml.MappingNode, faults: FaultList) -> Stack | None:
    names = [name for name, *_ in entries(node, FaultList(""))]
    if set(names) & set(PAIR):
        faults.add(node, f"`{key}` takes a list of states, one or more, {FORM}.")
        return None
    given = _known(node, STACK, faults)
    frames, padding = (_value(given.get(name)) for name in STACK)
    if not isinstance(frames, int) or isinstance(frames, bool) or not 2 <= frames <= MOST_FRAMES:
        where = given.get("frames", node)
        faults.add(where, f"`frames` takes a whole number from 2 to {MOST_FRAMES}.")
        return None
    if "padding" in given and padding not in PADDINGS:
        faults.add(given["padding"], f"`padding` takes {' or '.join(PADDINGS)}.")
        return None
    return Stack(frames, PADDINGS[str(padding)] if padding in PADDINGS else "zeros")


def _known(node: yaml.MappingNode, known: Sequence[str], faults: FaultList) -> dict[str, yaml.Node]:
    """The entries of a mapping that are known here."""
    found = {}
    for name, where, value in entries(node, faults):
        if name in known:
            found[name] = value
        else:
            near = get_close_matches(name, known, 1)
            hint = f"do you mean `{near[0]}`?" if near else f"{', '.join(known)} are."
            faults.add(where, f"`{name}` is not known here: {hint}")
    return found


def _value(node: yaml.Node | None) -> object:
    try:
        return None if node is None else plain_value(node)
    except ValueError:
        return None
