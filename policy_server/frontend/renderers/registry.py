"""The renderers, each known by what the server's answers hold."""

from collections.abc import Sequence

from policy_server.contract.declared_actions import DeclaredActions
from policy_server.frontend.action_scale import Scale, values_of
from policy_server.frontend.answers import Decision, Json
from policy_server.frontend.renderers.dimension import Dimension
from policy_server.frontend.renderers.head import Head
from policy_server.frontend.renderers.mixed import MixedRenderer
from policy_server.frontend.renderers.numbered import NumberedRenderer
from policy_server.frontend.renderers.real import RealRenderer
from policy_server.frontend.renderers.renderer import Part, Renderer

RENDERERS: Sequence[Renderer] = (NumberedRenderer(), MixedRenderer(), RealRenderer())


def renderer_of(decision: Decision) -> Renderer:
    """What shows a decision, and all others of the same policy."""
    return next(each for each in RENDERERS if each.fits(decision))


def parts_of(
    distribution: Json, actions: DeclaredActions | None, scales: Sequence[Scale | None] = ()
) -> list[Part]:
    """What a policy weighs for each component of an action, of one Distribution.

    Args:
        distribution: Of the policy; heads and dimensions stand apart in it.
        actions: As the schema declares them, which puts them in order; None where all components
            are of one kind.
        scales: Of these components; empty where they are not known.
    """
    found = [part for renderer in RENDERERS for part in renderer.parts(distribution)]
    if actions is not None and len(found) == len(actions.sizes):
        # Heads come first in what was found.
        order = sorted(range(len(found)), key=lambda index: actions.sizes[index] == 0)
        pairs = sorted(zip(order, found, strict=True), key=lambda pair: pair[0])
        found = [part for _, part in pairs]
    if len(scales) != len(found):
        return found
    return [part.scaled(scale) for part, scale in zip(found, scales, strict=True)]


def parts_seen(decisions: Sequence[Decision], scales: Sequence[Scale | None] = ()) -> list[Part]:
    """The components of an action as far as decisions show them, for pictures of these.

    Args:
        decisions: At least one.
        scales: Of the components; empty where they are not known.
    """
    parts: list[Part] = []
    for index, whole in enumerate(decisions[0].are_whole):
        if whole:
            names = {int(each.actions[index]): _meaning(each, index) for each in decisions}
            parts.append(
                Head(tuple(sorted(names)), tuple(names[each] for each in sorted(names)), ())
            )
        else:
            parts.append(Dimension(0.0, 0.0).scaled(scales[index] if scales else None))
    return parts


def _meaning(decision: Decision, index: int) -> str:
    if decision.meanings:
        return decision.meanings[index]
    values = values_of(decision)
    return str(values[index] if values else decision.actions[index])
