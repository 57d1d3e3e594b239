"""Messages between a process and the child that runs uploaded code: each with its length before it.

A child may say anything, so how long its messages may be is bounded where they are read.
"""

import struct

HEAD = struct.Struct("!IQ")
"""Before a message: its bytes, and the number of what it is or answers."""
MOST_BYTES = (1 << 32) - 1
"""Of a message from a process that is trusted."""


class NotAReply(ConnectionError):
    """Something else came than a reply to what was asked."""


class NotAwaited(ValueError):
    """A message is longer than it may be, or another than the one that is awaited.

    What comes after it on its connection means nothing any more.
    """


def framed(body: bytes, number: int = 0) -> bytes:
    """A message as it goes over the connection."""
    return HEAD.pack(len(body), number) + body


class Messages:
    """The bytes of a connection, cut into messages.

    Attributes:
        most_bytes: How long a message may be.
        number: Of the message that was taken last.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.number = 0
        self._buffer = bytearray()

    def add(self, data: bytes) -> None:
        """Append what was received."""
        self._buffer += data

    def take(self, number: int | None = None) -> bytes | None:
        """The next message, which is then removed; None until all of it is there.

        Args:
            number: Of the message that is awaited; None where any is.

        Raises:
            NotAwaited: It is longer than it may be, or has another number: by its head, before
                the rest is there.
        """
        buffer = self._buffer
        if len(buffer) < HEAD.size:
            return None
        size, self.number = HEAD.unpack_from(buffer)
        if size > self.most_bytes:
            raise NotAwaited(f"a message of {size} bytes, where {self.most_bytes} are allowed")
        if number is not None and self.number != number:
            raise NotAwaited(f"message {self.number}, where {number} is awaited")
        end = HEAD.size + size
        if len(buffer) < end:
            return None
        body = bytes(buffer[HEAD.size : end])
        del buffer[:end]
        return body

    def clear(self) -> None:
        """Forget what has arrived of later messages."""
        self._buffer.clear()
