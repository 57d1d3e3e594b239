"""What is asked where nothing proves which output gives the next state of which input."""

import itertools
from collections.abc import Callable, Sequence

from policy_server.errors import UploadRejected
from policy_server.proving.memory_description import Pair, line_of_pairs
from policy_server.proving.reading import listed

SUMMARY = "The memory that model.yaml declares is not that of the model."
IDLE = (
    "by their names outputs give the next states of the policy's memory, but do not depend on "
    "these. If they are the next ones nevertheless, say so in model.yaml"
)
MOST_LINES, MOST_WAYS = 6, 10_000
WITHOUT = (
    "Export the network with the next state as an output; or train without memory (ML-Agents: "
    "remove `memory` from the trainer's network settings; Stable-Baselines3: PPO instead of "
    "RecurrentPPO; RLlib: `use_lstm: False`), or with a stack of the last observations, which "
    "`memory: {frames: 4}` in model.yaml declares"
)


def ways(
    states: Sequence[str], outputs: Sequence[str], may_be: Callable[[Pair], bool]
) -> list[list[Pair]]:
    """Each way in which outputs may give the next states, up to one more than is shown.

    Args:
        states: Names of the inputs that take a state.
        outputs: Names of those that may give one.
        may_be: Whether an output may give the next state of an input.
    """
    fitting = [
        [pair for pair in (Pair(name, other) for other in outputs) if may_be(pair)]
        for name in states
    ]
    all_ways = itertools.islice(itertools.product(*fitting), MOST_WAYS)
    distinct = (list(way) for way in all_ways if len({pair.output for pair in way}) == len(way))
    return list(itertools.islice(distinct, MOST_LINES + 1))


def question(
    states: Sequence[str],
    outputs: Sequence[str],
    may_be: Callable[[Pair], bool],
    kind: str = "a policy",
) -> str:
    """Asks which outputs give the next states: each way as a line of model.yaml.

    Raises:
        UploadRejected: No outputs may.
    """
    possible = ways(states, outputs, may_be)
    what = f"the model is {_words(states, kind)}"
    if not possible:
        raise UploadRejected(
            f"{what[0].upper()}{what[1:]}, and no output of the same shape gives the next one. "
            f"{WITHOUT}."
        )
    lines = [line_of_pairs(way) for way in possible[:MOST_LINES]]
    if len(lines) == 1:
        named = listed([pair.output for pair in possible[0]])
        verb = "gives the next one" if len(states) == 1 else "give the next ones"
        return f"{what}. If {named} {verb}, say so in model.yaml: {lines[0]}"
    more = ", or with other outputs" * (len(possible) > MOST_LINES)
    return (
        f"{what}. Which output gives the next state of each is not known: one of these lines of "
        f"model.yaml says it: {' or '.join(lines)}{more}"
    )


def left_out(states: Sequence[str], kind: str = "a policy") -> str:
    """Says that a declaration of memory lacks states."""
    them = "it" if len(states) == 1 else "them"
    return f"The model is {_words(states, kind)}, and `memory` in model.yaml leaves {them} out."


def _words(states: Sequence[str], kind: str) -> str:
    return (
        f"{kind} with memory: its decisions depend on {listed(states)}, the state of a recurrent "
        "network"
    )
