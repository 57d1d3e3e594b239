"""JSON documents of an OpenID provider, fetched from it over HTTP with bounds on everything."""

import asyncio
import ipaddress
from typing import Any
from urllib.parse import urlsplit

from policy_server.access.token_text import json_object
from policy_server.errors import ProviderUnavailable

FETCH_SECONDS = 5.0
"""For one document, from the look-up of the name to the last byte, however slowly it comes."""
MAX_DOCUMENT_BYTES = 512_000
HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


def address_fault(address: str, *, insecure: bool) -> str | None:
    """Why something is not the address of a provider; None where it may be.

    Args:
        address: Of a document, or an issuer.
        insecure: Take `http` for other machines too.
    """
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("http", "https") or not host or not address.isprintable():
        return "is a URL that begins with https://"
    if parts.username is not None or parts.fragment or " " in address:
        return "is a URL without user, password, fragment or spaces"
    if parts.scheme == "http" and not insecure and not _is_here(host):
        return "begins with https://, other than on this machine"
    return None


async def fetch(address: str, *, insecure: bool = False) -> dict[str, Any]:
    """Fetch a JSON object; no redirect is followed.

    Args:
        address: Where it is.
        insecure: Take `http` from other machines too.

    Raises:
        ProviderUnavailable: It is not there, not as it should be, too large or too slow; the
            message says which.
    """
    import httpx  # takes long, and most servers and all commands have no provider

    fault = address_fault(address, insecure=insecure)
    if fault is not None:
        raise ProviderUnavailable(f"{address!r} {fault}")
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            content = await _content(address)
        return json_object(content)
    except TimeoutError as error:
        raise ProviderUnavailable(f"{address} took longer than {FETCH_SECONDS:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise ProviderUnavailable(f"{address} cannot be reached: {error!r:.200}") from error
    except ValueError as error:
        raise ProviderUnavailable(f"{address} holds no document: {error}") from error


async def _content(address: str) -> bytes:
    import httpx

    # Certificates of authorities are read for each client: that takes longer than to ask.
    client = await asyncio.to_thread(httpx.AsyncClient, follow_redirects=False, timeout=None)
    async with client, client.stream("GET", address, headers=HEADERS) as answer:
        if answer.status_code != httpx.codes.OK:
            raise ProviderUnavailable(f"{address} answers with status {answer.status_code}")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise ProviderUnavailable(f"{address} is compressed, which was not asked for")
        content = bytearray()
        async for piece in answer.aiter_raw():
            content += piece
            if len(content) > MAX_DOCUMENT_BYTES:
                raise ProviderUnavailable(f"{address} has more than {MAX_DOCUMENT_BYTES} bytes")
    return bytes(content)


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
