"""Looking out for the next request for a moment, instead of going to sleep at once.

A client that asks again as soon as it is answered, as a simulation does, otherwise waits each time
until the processor and its caches are awake again, which takes as long as a decision.
"""

import asyncio
from time import perf_counter

MOST_DOUBLINGS = 6


class BusyPolling:
    """Keeps an event loop awake for a moment after the last answer that was owed.

    Where nobody asks within that moment, it is left out after the next 2, 4, ... 64 answers: to
    clients that take their time it costs next to nothing.

    Args:
        microseconds: The moment; 0 for none.
    """

    def __init__(self, microseconds: int) -> None:
        self._seconds = microseconds / 1e6
        self._until = 0.0
        self._looking = self._asked = False
        self._owed = self._misses = self._left_out = 0

    @property
    def looking(self) -> bool:
        """The event loop is kept awake now."""
        return self._looking

    def received(self) -> None:
        """Somebody asks; an answer is owed."""
        self._asked = True
        self._owed += 1

    def answered(self) -> None:
        """An answer was given, or nobody waits for it any more."""
        self._owed -= 1
        if self._owed or self._looking or not self._seconds:
            return
        if self._left_out:
            self._left_out -= 1
            return
        self._looking, self._asked = True, False
        self._until = perf_counter() + self._seconds
        asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        now = perf_counter()
        if self._asked:
            self._asked, self._misses = False, 0
            self._until = now + self._seconds
        elif now > self._until:
            self._misses = min(self._misses + 1, MOST_DOUBLINGS)
            self._left_out = 2**self._misses
            self._looking = False
        if self._owed:  # its answer begins anew
            self._looking = False
        if self._looking:
            asyncio.get_running_loop().call_soon(self._look)
