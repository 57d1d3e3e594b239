"""The renderers, each known by what the server's answers hold."""

from collections.abc import Sequence

from policy_server.frontend.answers import Decision, Json
from policy_server.frontend.renderers.numbered import NumberedRenderer
from policy_server.frontend.renderers.real import RealRenderer
from policy_server.frontend.renderers.renderer import Part, Renderer

RENDERERS: Sequence[Renderer] = (NumberedRenderer(), RealRenderer())


def renderer_of(decision: Decision) -> Renderer:
    """What shows a decision, and all others of the same policy."""
    return next(each for each in RENDERERS if each.fits(decision))


def parts_of(distribution: Json) -> list[Part]:
    """What a policy weighs for each component of an action, of one Distribution."""
    return [part for renderer in RENDERERS for part in renderer.parts(distribution)]
