"""The protocols that are spoken beside the API itself, which connexion answers."""

from policy_server.web.protocols.open_inference import OpenInference
from policy_server.web.protocols.protocol import Protocol
from policy_server.web.protocols.row_format import RowFormat

PROTOCOLS: tuple[type[Protocol], ...] = (OpenInference, RowFormat)
"""Each request is shown to them in this order, and then to the API."""
