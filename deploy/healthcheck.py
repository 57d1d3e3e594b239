"""Whether the server of this container is alive: ends with 0, or with 1 and says why.

Reads the settings that say where it listens, and needs neither curl nor the server's packages.
"""

import os
import ssl
import sys
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

SECONDS = 4
NOT_FOUND = 404
THIS_MACHINE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def setting(name: str, default: str) -> str:
    """A setting that other programs know too: our own name for it comes first."""
    return os.environ.get(f"POLICY_SERVER_{name}") or os.environ.get(name) or default


def url() -> str:
    """Where the server says that it is alive."""
    host = setting("HOST", "127.0.0.1").strip("[]")
    host = THIS_MACHINE.get(host, host)
    scheme = "https" if os.environ.get("POLICY_SERVER_TLS_CERTIFICATE") else "http"
    address = f"[{host}]" if ":" in host else host
    return f"{scheme}://{address}:{setting('PORT', '8080')}/api/health/live"


def fault() -> str | None:
    """What is wrong, in words; None where nothing is."""
    context = ssl.create_default_context()
    # It asks its own container: nobody stands between, and the certificate has another name.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
    try:
        opener.open(url(), timeout=SECONDS)
    except HTTPError as error:
        # A schema may have another path than /api: a server that says so is alive.
        if error.code != NOT_FOUND:
            return f"{url()} answers {error.code}"
    except OSError as error:
        return f"{url()} does not answer: {error}"
    return None


if __name__ == "__main__":
    sys.exit(fault())  # which prints the words
