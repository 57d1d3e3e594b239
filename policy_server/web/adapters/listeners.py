"""The listeners of a worker, which it opens while clients need it and else leaves to its siblings.

All workers accept from the same sockets. Each has descriptors of its own for them, so that one that
closes its own takes nothing from the others: who connects meanwhile is accepted by them.
"""

import asyncio
import socket
from collections.abc import Sequence

from uvicorn.server import Server

from policy_server.web.state import KEY

CLOSE = (b"connection", b"close")


class Listeners:
    """Sockets from which a server of uvicorn accepts, or not.

    Args:
        server: It has begun, without any socket.
        sockets: Shared with other workers.
    """

    def __init__(self, server: Server, sockets: Sequence[socket.socket]) -> None:
        self._server = server
        self._sockets = sockets

    @property
    def are_open(self) -> bool:
        """Connections are accepted."""
        return bool(self._server.servers)

    async def open(self) -> None:
        """Accept connections."""
        self.keep_connections()
        config, loop = self._server.config, asyncio.get_running_loop()
        for each in self._sockets:
            listening = await loop.create_server(
                self._connection, sock=each.dup(), ssl=config.ssl, backlog=config.backlog
            )
            self._server.servers.append(listening)

    def close(self) -> None:
        """Accept none, and ask the clients of those that are open to connect anew."""
        for each in self._server.servers:
            each.close()
        self._server.servers.clear()
        self.end_connections()
        for connection in list(self._server.server_state.connections):
            connection.shutdown()

    def end_connections(self) -> None:
        """Close each connection with the next answer."""
        if CLOSE not in self._server.config.encoded_headers:
            self._server.config.encoded_headers.append(CLOSE)
            self._server.server_state.default_headers.append(CLOSE)
        self._server.lifespan.state.pop(KEY, None)  # the short cut closes no connections

    def keep_connections(self) -> None:
        """Keep connections after answers."""
        headers = self._server.config.encoded_headers, self._server.server_state.default_headers
        for each in headers:
            while CLOSE in each:
                each.remove(CLOSE)

    def _connection(self) -> asyncio.Protocol:
        config = self._server.config
        made: asyncio.Protocol = config.http_protocol_class(  # type: ignore[call-arg]
            config=config,
            server_state=self._server.server_state,
            app_state=self._server.lifespan.state,
        )
        return made
