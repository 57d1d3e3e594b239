"""Contracts whose one field is the network's input vector."""

from pathlib import Path

from policy_server.contract.actions import ActionSettings, ActionSpace
from policy_server.contract.contract import Contract, ContractFile
from policy_server.contract.reading import read_schema
from policy_server.resources import TEMPLATE
from policy_server.serving.contracts import Contracts
from policy_server.store.registry import open_store


def actions_of(*, discrete: bool = True, tuple_: bool = False) -> ActionSpace:
    """What the settings of these values make."""
    return ActionSpace.of(ActionSettings(tuple_, discrete))


def contract_of(
    features: int = 3,
    *,
    discrete: bool = True,
    tuple_: bool = False,
    varying: bool = False,
    actions: str | None = None,
    more: str = "",
) -> Contract:
    """Observations are one list of numbers, of a size that varies if a preprocessor is wanted.

    Actions are as the settings say, or as they are declared: `{steer: {type: bool}}`. Further
    fields stand in `more`.
    """
    least = 0 if varying else features
    text = (
        f'observations:\n  x: {{type: "List[float]", min_items: {least}, max_items: {features}}}\n'
    )
    text += f"  {more}\n" if more else ""
    if actions is not None:
        return ContractFile(f"{text}actions: {actions}\n").resolve()
    return Contract(read_schema(text), actions_of(discrete=discrete, tuple_=tuple_))


def kept_contracts(contract: Contract, base: Path) -> Contracts:
    """The contracts of a BASE_PATH for which this one was made."""
    ContractFile.of(contract).write(base)
    return Contracts(open_store(base), base, TEMPLATE)


def read_contracts(base: Path) -> Contracts:
    """The contracts of a BASE_PATH, as a server that starts finds them."""
    return Contracts(open_store(base), base, TEMPLATE)
