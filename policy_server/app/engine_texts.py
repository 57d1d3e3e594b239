"""How the texts of settings are read that say which servers run networks."""

from policy_server.policy.engines.address import Address


def server_url(text: str) -> str:
    """Where a server listens."""
    try:
        Address.of(text)
    except ValueError as error:
        raise ValueError("is a URL such as http://127.0.0.1:8501") from error
    return text


def inference_servers(text: str) -> tuple[tuple[str, str], ...]:
    """Servers, each with the name that uploads call it."""
    entries = [entry.partition("=") for entry in text.split(",") if entry.strip()]
    found = {name.strip(): url.strip() for name, _, url in entries}
    sound = text.isprintable() and len(found) == len(entries) > 0 and "" not in found
    try:
        for url in found.values():
            Address.of(url)
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("is a list of `NAME=URL`, separated by commas, each name once")
    return tuple(found.items())
