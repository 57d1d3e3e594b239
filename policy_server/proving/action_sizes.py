"""How many actions each head of a model has, where the model itself does not tell."""

from pathlib import Path

from policy_server.contract.actions import ActionSpace
from policy_server.policy.families.family import Family
from policy_server.policy.families.registry import FAMILIES
from policy_server.policy.output_mapper import OutputMapper
from policy_server.proving.heads import declared_sizes_fault
from policy_server.version.network_description import NetworkDescription


class Unknown(Exception):
    """Nothing says how many actions each head has; the message says who can."""


def declared_sizes(
    described: NetworkDescription, actions: ActionSpace, mapper: OutputMapper, model: Path
) -> tuple[int, ...]:
    """The sizes of the heads as the schema's actions declare them, or else the output mapper.

    Args:
        described: Of a model with heads of unknown sizes.
        actions: What the contract promises.
        mapper: What actions mean; without meanings where none was uploaded.
        model: The model's folder, with the actions that it drew itself if it draws any.

    Raises:
        Unknown: Neither does, or they do not fit the model.
    """
    declared = tuple(mapper.sizes if actions.sizes is None else actions.sizes)
    heads = described.heads
    wanted = f"{heads} heads" if heads else "the heads"
    detail = (
        f"the sizes of {wanted} cannot be read off the model: declare the actions in the schema, "
        "or upload an output mapper, a list of one map for each head, "
        f"{described.output_width} actions in all"
    )
    if not declared:
        raise Unknown(detail)
    source = "the output mapper has" if actions.sizes is None else "the schema declares"
    detail += f" ({source} {' + '.join(map(str, declared))})"
    family = FAMILIES[described.family](declared)
    if family.input_width != described.output_width or heads not in (None, len(declared)):
        raise Unknown(detail)
    fault = _contradicted(family, heads, model)
    if fault is not None:
        raise Unknown(f"{detail}; {fault}")
    return declared


def _contradicted(family: Family, heads: int | None, model: Path) -> str | None:
    return declared_sizes_fault(model, family) if heads else None
