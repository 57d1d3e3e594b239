"""What a network puts out that gives every action the same chance."""

from typing import NamedTuple

from policy_server.contract.actions import ActionSpace, Kind

UNDECLARED_ACTIONS, UNDECLARED_COMPONENTS = 4, 2
"""What is made up where a contract does not say how many there are."""
BETA, LOGIT, NORMAL = (1.0, 1.0), (0.0,), (0.0, 0.0)
"""Of a dimension, evenly between 0 and 1; of an action; of a dimension beside numbered actions."""
READS = {Kind.NUMBERED: "logits", Kind.REAL: "beta", Kind.MIXED: "mean_log_std"}


class Even(NamedTuple):
    """An output of a network.

    Attributes:
        sizes: Actions of each head, 0 for a dimension.
        reads: How it is read, as `model.yaml` has it.
        inputs: The distribution inputs, the same for every observation.
    """

    sizes: tuple[int, ...]
    reads: str
    inputs: tuple[float, ...]


def even(actions: ActionSpace) -> Even:
    """The output for actions of a contract.

    Real numbers beside numbered actions have no even chance: they are drawn from a standard normal
    distribution.
    """
    size = UNDECLARED_ACTIONS if actions.kind is Kind.NUMBERED else 0
    undeclared = [size] * (UNDECLARED_COMPONENTS if actions.tuple else 1)
    sizes = tuple(undeclared if actions.sizes is None else actions.sizes)
    dimension = BETA if actions.kind is Kind.REAL else NORMAL
    inputs = [number for each in sizes for number in (LOGIT * each or dimension)]
    return Even(sizes, READS[actions.kind], tuple(inputs))
