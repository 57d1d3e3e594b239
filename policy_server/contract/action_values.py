"""An action as its schema declares it: numbers of the network to named, scaled, clipped values."""

from collections.abc import Callable, Sequence
from typing import Any

from policy_server.contract.declared_actions import Component, DeclaredActions
from policy_server.contract.fields.field import Value

Values = dict[str, Value]
Range = tuple[float, float]


def compile_values(
    actions: DeclaredActions, action_range: Range | None
) -> Callable[[Sequence[Any]], Values]:
    """Compile what turns the numbers of an action into its values.

    A head's number selects one of its values. A dimension is scaled,
    `low + (x - a) (high - low) / (b - a)`, and clipped to its bounds as far as it has them.

    Args:
        actions: What is declared.
        action_range: [a, b], which of the network's numbers stand for the declared bounds. None
            leaves them unscaled, and so does a dimension that lacks a bound.
    """
    tables: dict[str, Any] = {}
    terms = (
        _term(each, f"a[{index}]", f"{index}", action_range, tables)
        for index, each in enumerate(actions.components)
    )
    code = []
    for index, (name, field) in enumerate(actions.fields.items()):
        tables[f"n{index}"] = name  # whatever an action is called never becomes code
        code.append(f"n{index}: {field.assembled(terms)}")
    compiled: Callable[[Sequence[Any]], Values] = eval(f"lambda a: {{{', '.join(code)}}}", tables)
    return compiled


def unscalable(actions: DeclaredActions) -> list[str]:
    """The dimensions that lack a bound, so that nothing can be scaled to them."""
    return [each.place for each in actions.components if not each.size and None in each.bounds]


def _term(
    component: Component,
    number: str,
    suffix: str,
    action_range: Range | None,
    tables: dict[str, Any],
) -> str:
    """Code of the value of a component, from the code of its number."""
    if component.choices is not None:
        tables[f"t{suffix}"] = tuple(component.choices)
        return f"t{suffix}[{number}]"
    low, high = component.bounds
    if action_range is not None and low is not None and high is not None:
        start, end = action_range
        tables |= {f"s{suffix}": start, f"k{suffix}": (high - low) / (end - start)}
        tables[f"l{suffix}"] = low
        number = f"l{suffix} + ({number} - s{suffix}) * k{suffix}"
    if low is not None:
        tables[f"l{suffix}"] = float(low)
        number = f"(l{suffix} if (x := {number}) < l{suffix} else x)"
    if high is not None:
        tables[f"h{suffix}"] = float(high)
        number = f"(h{suffix} if (x := {number}) > h{suffix} else x)"
    return number
