"""What is run next of all that waits: a piece of each request in turn."""

from collections import deque
from collections.abc import Iterable

from policy_server.serving.pending import PendingRequest, Piece


class Rounds:
    """Requests that wait, and the pieces of them that are run next, round after round.

    Who has waited for longest comes first, and who is not done after a round waits again behind all
    others. What does not fit is shared between those of a round: short ones are taken whole.

    Attributes:
        rows: So many wait.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._queue: deque[PendingRequest] = deque()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def add(self, request: PendingRequest) -> None:
        """Let a request wait."""
        request.queued = True
        self._queue.append(request)
        self.rows += request.left

    def rows_before(self, rows: int) -> int:
        """How many are run, at most, before a request of so many rows that would come now."""
        return min(self.rows, len(self._queue) * max(rows, 1))

    def next(self, most: int) -> list[Piece]:
        """The pieces of the next round, of so many rows at most, 1 or more.

        Nothing of a request that has ended, as its time is over or its client has gone.
        """
        turns = self._turns(most)
        if turns and turns[0].is_alone:
            most = 1
        wanted = sum(request.left for request in turns)
        if wanted > most:
            turns.sort(key=lambda request: request.left)
        pieces = []
        for index, request in enumerate(turns):
            share = request.left if wanted <= most else most // (len(turns) - index)
            piece = request.take(share)
            most -= piece.rows
            wanted -= piece.rows
            self.rows -= piece.rows
            pieces.append(piece)
            if request.left:
                request.queued = True
                self._queue.append(request)
        return pieces

    def again(self, pieces: Iterable[Piece]) -> None:
        """Let pieces that failed together be run once more, each row by itself, before others."""
        for piece in reversed(list(pieces)):
            request = piece.request
            if request.done.done():
                continue
            request.taken, request.alone_until = piece.start, piece.end
            self.rows += piece.rows
            if request.queued:
                self._queue.remove(request)
            request.queued = True
            self._queue.appendleft(request)

    def _turns(self, most: int) -> list[PendingRequest]:
        """Whose turn it is: who waits for longest, or one alone whose row is run by itself."""
        turns: list[PendingRequest] = []
        while self._queue and len(turns) < most:
            request = self._queue[0]
            if turns and request.is_alone:
                break
            self._queue.popleft()
            request.queued = False
            if request.done.done():
                self.rows -= request.left
                continue
            turns.append(request)
            if request.is_alone:
                break
        return turns
