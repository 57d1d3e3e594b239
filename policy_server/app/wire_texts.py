"""How the texts of settings are read that say how clients reach the server."""

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from policy_server.web.prefix import PREFIX

DEFAULT_PORTS = {"http": 80, "https": 443}


def host(text: str) -> str:
    """An address to listen on; `[::1]` is written as `::1`."""
    bare = text.removeprefix("[").removesuffix("]") if text.startswith("[") else text
    try:
        socket.getaddrinfo(bare, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ValueError("is an address of this machine, or a name of one") from error
    return bare


def origins(text: str) -> tuple[str, ...]:
    """Origins as browsers write them: in lower case, without the usual port of their scheme."""
    return tuple(_origin(each.strip()) for each in text.split(",") if each.strip())


def _origin(text: str) -> str:
    wrong = ValueError("is a list of origins such as https://example.org, separated by commas")
    try:
        parts = urlsplit(text)
        name, port = parts.hostname, parts.port
    except ValueError as error:
        raise wrong from error
    is_bare = f"{parts.scheme}://{parts.netloc}".lower() == text.lower().removesuffix("/")
    if parts.scheme not in DEFAULT_PORTS or not name or not is_bare or "@" in parts.netloc:
        raise wrong
    if not re.fullmatch(r"[a-z0-9.-]+|[0-9a-f:.]+", name):
        raise wrong
    name = f"[{name}]" if ":" in name else name
    usual = port in (None, DEFAULT_PORTS[parts.scheme])
    return f"{parts.scheme}://{name}" if usual else f"{parts.scheme}://{name}:{port}"


def page(text: str) -> str:
    """The address of a page, which is shown to everybody."""
    wrong = ValueError("is a URL such as https://example.org/policy, without user and password")
    try:
        parts = urlsplit(text)
        name, port = parts.hostname, parts.port
    except ValueError as error:
        raise wrong from error
    if parts.scheme not in DEFAULT_PORTS or not name or port == 0 or "@" in parts.netloc:
        raise wrong
    if not text.isprintable() or " " in text:
        raise wrong
    return text


def proxies(text: str) -> str:
    """Addresses and networks, separated by commas."""
    try:
        networks(text)
    except ValueError as error:
        wrong = "is a list of addresses and networks such as 10.0.0.0/8, separated by commas"
        raise ValueError(wrong) from error
    return text


def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """The networks of such a text; an address is a network of one."""
    return tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())


def model_name(text: str) -> str:
    """A name that needs no escape in a path, and ends before the colon of `NAME:predict`."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._~-]{0,252}", text):
        raise ValueError("is a name of letters, digits and ._~-")
    return text


def prefix(text: str) -> str:
    """A path that others are below; without a slash at its end."""
    bare = text.removesuffix("/")
    if bare and not PREFIX.fullmatch(bare):
        raise ValueError("is a path such as /policy, of letters, digits and ._~-")
    return bare
