"""Shows actions that are real numbers."""

from policy_server.frontend.answers import Decision, Json
from policy_server.frontend.renderers.dimension import Dimension
from policy_server.frontend.renderers.measured import MeasuredRenderer
from policy_server.frontend.renderers.renderer import Part


class RealRenderer(MeasuredRenderer):
    """Shows decisions that are real numbers."""

    def fits(self, decision: Decision) -> bool:
        return not decision.meanings

    def parts(self, distribution: Json) -> list[Part]:
        return [
            Dimension(
                each["mean"], each["standard_deviation"], each.get("minimum"), each.get("maximum")
            )
            for each in distribution.get("dimensions", ())
        ]
