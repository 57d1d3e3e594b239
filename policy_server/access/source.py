"""What a client sends to prove who it is, and what knows whether that is so."""

from typing import Literal, NamedTuple, Protocol

from policy_server.access.identity import Identity


class Credentials(NamedTuple):
    """What a client sent.

    Attributes:
        scheme: `basic`, user and password; `key`, in the header of keys; `bearer`, key or token;
            `certificate`, which a trusted proxy has verified.
        user: As it was sent; empty where the scheme has none.
        secret: Password, key, token or subject, as it was sent.
    """

    scheme: Literal["basic", "key", "bearer", "certificate"]
    user: bytes
    secret: bytes


class Source(Protocol):
    """Knows some of the accepted credentials; all of its methods run on the event loop.

    A source that is asked for credentials of another scheme says None.
    """

    def refresh(self) -> bool:
        """Take up what changed, some times a second; whether something accepted may be refused now.

        It takes microseconds, and waits for nothing but a local disk. What takes longer, such as
        asking another server, is begun here and done elsewhere.
        """

    def recall(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are, if that can be told in microseconds.

        Args:
            credentials: What was sent.
            address: From where.
        """

    async def identify(self, credentials: Credentials, address: str) -> Identity | None:
        """Whose these are, None where nobody's; called where no source recalls them.

        What takes long is awaited, and never done on the event loop. What was found out is
        remembered, so that `recall` tells the next time.
        """
