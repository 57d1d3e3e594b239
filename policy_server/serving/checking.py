"""A look at all of a store: what is not as it was made, and what to do about it."""

from collections.abc import Iterator

from policy_server.errors import PolicyServerError, SchemaError
from policy_server.serving.contracts import Contracts
from policy_server.store.store import Store

LOST = "delete its folder, or bring it back from a copy of the store"
Finding = tuple[str, list[str]]
"""What was looked at, and what is wrong with it, each in a sentence."""


def findings(store: Store, contracts: Contracts) -> Iterator[Finding]:
    """Look at the contract, at every version and at what points to one."""
    yield "contract", _contract(contracts)
    for name in store.folders():
        yield f"version {name}", _version(store, contracts, name)
    for pointer, to in (("active", store.active()), ("candidate", store.candidate())):
        if to is not None:
            yield f"{pointer}: {to}", _pointed(store, pointer, to)


def _contract(contracts: Contracts) -> list[str]:
    try:
        contracts.served()
    except SchemaError as error:
        return [str(error)]
    return []


def _version(store: Store, contracts: Contracts, name: str) -> list[str]:
    try:
        damage = store.damage(name)
        contracts.of(name)
    except PolicyServerError as error:
        return [f"{str(error).rstrip('.')}: {LOST}."]
    return [] if damage is None else [f"{damage}: upload its parts again, or {LOST}."]


def _pointed(store: Store, pointer: str, name: str) -> list[str]:
    if name in store.names():
        return []
    if pointer == "active":
        return ["There is no such version: activate another one, or publish the policy again."]
    return ["There is no such version: upload the parts that are to wait for others again."]
