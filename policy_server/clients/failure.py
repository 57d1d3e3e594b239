"""Why one language has no SDK."""


class LanguageFailed(Exception):
    """The SDK of one language cannot be made, as the message says; the others still can."""
