"""Actions that are real numbers, drawn: a normal distribution for each dimension."""

from collections.abc import Iterator, Sequence

from policy_server.policy.families.normal import NormalDimensions
from policy_server.policy.families.recognition import DISTRIBUTION_INPUTS, Drawn, Reading


class DiagonalGaussian(NormalDimensions):
    """Independent normal dimensions, whose numbers are the action."""

    name = "gaussian"
    readings = (
        Reading(
            "mean_log_std",
            "mean and log standard deviation",
            "{half} means, then {half} log standard deviations of a Gaussian",
            names=(*DISTRIBUTION_INPUTS, "mean_log_std"),
            roles=("mean", "log_std"),
        ),
    )

    @classmethod
    def fits_width(cls, width: int, sizes: Sequence[int]) -> bool:
        return width == 2 * len(sizes)

    @classmethod
    def candidates(cls, drawn: Drawn) -> Iterator[tuple[int, ...]]:
        if drawn.integer:
            return
        for sizes in dict.fromkeys([drawn.components, (drawn.heads,)]):
            if 2 * sum(sizes) == drawn.width:
                yield sizes

    @classmethod
    def unlike(cls, drawn: Drawn, by: str) -> str | None:
        if drawn.integer:
            return None
        if 2 * drawn.heads != drawn.width:
            return (
                f"The model's actions have {drawn.heads} dimensions, which take {2 * drawn.heads} "
                "distribution inputs (mean and log standard deviation); it has "
                f"{drawn.width}."
            )
        return (
            "The model's own draws are not those of a diagonal Gaussian, squashed by tanh or not: "
            f"log-densities differ by {by}. Export what it draws from alone, as training uses it "
            "(clipped, scaled), without its draws, and declare in model.yaml how it is read."
        )

    @classmethod
    def described(cls, sizes: tuple[int, ...]) -> str:
        return f"a diagonal Gaussian of {sum(sizes)} dimensions"
