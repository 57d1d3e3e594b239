"""TLS where it ends at the server itself."""

import ssl
from pathlib import Path

HSTS = ("strict-transport-security", "max-age=31536000")
"""For a year browsers ask by HTTPS only; of addresses and doubtful certificates none heeds it."""
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: those with forward secrecy and authenticated encryption; TLS 1.3 has no others."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or 1.3, HTTP/1.1 above it.

    Args:
        certificate: PEM; the server's own first, then those that vouch for it.
        key: PEM. One with a password is refused: nobody is there to type it.

    Raises:
        OSError: A file cannot be read; `ssl.SSLError` among them where it is no PEM, or the key is
            another certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificate, key, password=lambda: "")
    return context
