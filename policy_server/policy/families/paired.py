"""What families of real numbers share that take two numbers for each dimension."""

from collections.abc import Sequence

import numpy as np

from policy_server.errors import UploadRejected
from policy_server.policy.families.family import Array
from policy_server.policy.families.real import RealFamily
from policy_server.policy.families.recognition import Output, Stated, contradicted


class PairedFamily(RealFamily):
    """Independent dimensions, each with a pair of numbers: mean and log standard deviation, say.

    Args:
        sizes: Dimensions of each component of the action. The inputs hold, component
            after component, the first numbers of its pairs and then the second ones, as RLlib lays
            out a tuple of boxes; one box is one component.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        starts = np.cumsum([0, *(2 * size for size in self.sizes)])[:-1]
        places = [
            (start + index, start + size + index)
            for start, size in zip(starts.tolist(), self.sizes, strict=True)
            for index in range(size)
        ]
        self.pairs: tuple[tuple[int, int], ...] = tuple(places)
        self._first, self._second = np.array(places, np.intp).reshape(-1, 2).T

    @property
    def input_width(self) -> int:
        return 2 * sum(self.sizes)

    def split(self, inputs: Array) -> tuple[Array, Array]:
        """The first and the second numbers of all pairs, float64[B, H] each."""
        return inputs[:, self._first], inputs[:, self._second]

    @classmethod
    def may_be(cls, output: Output) -> bool:
        return output.width % 2 == 0

    @classmethod
    def check_declared(cls, output: Output, word: str) -> None:
        super().check_declared(output, word)
        if output.width % 2:
            raise UploadRejected(contradicted(word, str(cls._no_pairs(output, "."))))

    @classmethod
    def whole(cls, output: Output) -> tuple[int, ...]:
        if output.width % 2:
            raise cls._no_pairs(output, ".")
        return (output.width // 2,)

    @classmethod
    def stated(cls, output: Output, heads: int | None) -> Stated:
        if heads is not None and 2 * heads != output.width:
            raise cls._no_pairs(output, f": the model's actions have {heads} dimensions.")
        return super().stated(output, heads)

    @classmethod
    def _no_pairs(cls, output: Output, why: str) -> UploadRejected:
        return UploadRejected(
            f"`{output.name}` has {output.width} numbers, and each dimension takes two, "
            f"{cls.readings[0].words}{why}"
        )
