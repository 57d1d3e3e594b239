"""The oauth2 alternatives of a specification, which say where clients get tokens from.

What they get comes as a bearer token, and the alternative of bearer tokens proves it: once.
"""

from collections.abc import Callable
from typing import Any

from connexion.security import NO_VALUE


class ProvenAsBearer:
    """Takes no credentials itself."""

    def get_fn(
        self, security_scheme: dict[str, Any], required_scopes: list[str]
    ) -> Callable[[Any], object]:
        """What connexion asks for the identity of a request."""
        return _nobody


SECURITY_MAP = {"oauth2": ProvenAsBearer}
"""As connexion takes it."""


def _nobody(request: Any) -> object:
    return NO_VALUE
