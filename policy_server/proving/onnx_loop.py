"""The turns of a loop in an ONNX network, told before it runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from policy_server.proving.onnx_extent import Extent
from policy_server.proving.onnx_needs import Needs
from policy_server.proving.onnx_node import Untold

INT64 = 7
"""Of ONNX's TensorProto.DataType."""
MOST_TURNS = 256
"""Of a loop that has to be followed turn by turn."""


class Loop:
    """The turns of a loop.

    Args:
        turn: Makes the outputs of the body from its inputs.
        outputs: How many there are.
        needs: What all turns take is counted in it.
    """

    def __init__(
        self, turn: Callable[[list[Extent]], list[Extent]], outputs: int, needs: Needs
    ) -> None:
        self._turn = turn
        self._outputs = outputs
        self._needs = needs

    def alike(
        self,
        state: list[Extent],
        turns: int,
        slices: list[Extent] | None = None,
        axes: Sequence[int] = (),
    ) -> list[Extent]:
        """What the loop makes if its turns are alike in size; raises Untold where they are not.

        Args:
            state: What goes from turn to turn.
            turns: How many there are.
            slices: What each turn takes of what is scanned; None where nothing is, and each turn
                has a number and a condition.
            axes: Where turns are laid in what is put out of each.
        """
        needs = self._needs
        before = replace(needs)
        state = [each.unvalued for each in state]
        head = [] if slices is not None else [Extent.of(INT64, ()), _truth(going=True)]
        made = self._turn([*head, *state, *(slices or ())])
        going = made.pop(0).number if head else 1
        if going == 0:
            raise Untold("its turns are not alike")
        after, put_out = made[: len(state)], made[len(state) :]
        if any(a.sizes != b.sizes or a.exact != b.exact for a, b in zip(state, after, strict=True)):
            raise Untold("what goes from turn to turn of the loop grows")
        if going is None:  # an observation may end it
            put_out = [replace(each, exact=False) for each in put_out]
        each_takes = needs.steps - before.steps
        loose = turns * each_takes if going is None else needs.loose_steps - before.loose_steps
        needs.count(each_takes * (turns - 1), loose * (1 if going is None else turns - 1))
        laid = [*axes, *[0] * len(put_out)]
        pairs = zip(put_out, laid, strict=False)
        return [*after, *(_stacked(each, turns, axis) for each, axis in pairs)]

    def each(self, state: list[Extent], turns: int | None) -> list[Extent]:
        """What the loop makes, turn by turn."""
        put_out: list[Extent] = []
        turn = 0
        going: int | None = 1
        while going and turn != turns:
            if turn == MOST_TURNS:
                raise Untold(f"the loop turns more than {MOST_TURNS} times")
            number = Extent.of_value(np.array(turn, np.int64))
            made = self._turn([number, _truth(going=True), *state])
            going = made[0].number
            if going is None:
                raise Untold("when the loop ends depends on the numbers of the observation")
            state, put_out = made[1 : 1 + len(state)], made[1 + len(state) :]
            turn += 1
        return self.ended(state, turn, put_out)

    def ended(
        self, state: list[Extent], turns: int, put_out: Sequence[Extent] = ()
    ) -> list[Extent]:
        """What the loop makes of its last state and of what each turn has put out."""
        if not turns:
            there = self._outputs - 1 - len(state)
            return [*state, *[Extent(1, None, 0)] * there]
        return [*state, *(_stacked(each, turns, 0) for each in put_out)]


def _truth(*, going: bool) -> Extent:
    return Extent.of_value(np.array(going))


def _stacked(each: Extent, turns: int, axis: int) -> Extent:
    if each.sizes is None:
        return replace(each.unvalued, most=each.most * turns)
    sizes = list(each.sizes)
    sizes.insert(axis if axis >= 0 else len(sizes) + 1 + axis, turns)
    return Extent.of(each.kind, sizes, exact=each.exact)
