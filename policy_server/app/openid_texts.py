"""How the texts of settings are read that say which tokens are accepted."""

from collections.abc import Callable

from policy_server.access.documents import address_fault
from policy_server.access.token_rules import ALGORITHMS


def address(text: str) -> str:
    """An address of a provider; whether `http` will do, all settings together say."""
    fault = address_fault(text, insecure=True)
    if fault is not None:
        raise ValueError("is a URL such as https://login.example.org/realms/factory")
    return text


def words(noun: str) -> Callable[[str], tuple[str, ...]]:
    """Several texts, separated by commas."""

    def parse(text: str) -> tuple[str, ...]:
        found = tuple(word.strip() for word in text.split(",") if word.strip())
        if not found or not text.isprintable():
            raise ValueError(f"is a list of {noun}, separated by commas")
        return found

    return parse


def algorithms(text: str) -> tuple[str, ...]:
    """Algorithms of signatures."""
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    if not found or not set(found) <= ALGORITHMS.keys():
        raise ValueError(f"is a list, separated by commas, of {', '.join(sorted(ALGORITHMS))}")
    return found


def client_id(text: str) -> str:
    """The name of a client at its provider."""
    if not text.isprintable():
        raise ValueError("is a printable text")
    return text
