"""The protocols that are spoken beside the API itself, which connexion answers."""

from policy_server.web.protocols.protocol import Protocol

PROTOCOLS: tuple[type[Protocol], ...] = ()
"""Each request is shown to them in this order, and then to the API."""
