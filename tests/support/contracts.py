"""Contracts whose one field is the network's input vector."""

from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema


def contract_of(
    features: int = 3, *, discrete: bool = True, tuple_: bool = False, varying: bool = False
) -> Contract:
    """Observations are one list of numbers, of a size that varies if a preprocessor is wanted."""
    least = 0 if varying else features
    text = (
        f'observations:\n  x: {{type: "List[float]", min_items: {least}, max_items: {features}}}\n'
    )
    return Contract(read_schema(text), discrete, tuple_)
