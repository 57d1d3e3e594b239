"""Where settings come from beside the command line: variables of the environment, and `.env`."""

import difflib
import io
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import dotenv
from dotenv.parser import parse_stream

from policy_server.app.setting import BARE, OURS
from policy_server.errors import ConfigurationError, Fault

OF_KUBERNETES = re.compile(
    rf"{OURS}(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
"""What Kubernetes sets in every container beside a service that is called `policy-server`."""
LINK = re.compile(r"(tcp|udp|sctp)://")
"""How its POLICY_SERVER_PORT begins, which is no port."""


def variables_in(path: Path) -> dict[str, str | None]:
    """The variables of a `.env` file; none where there is no such file.

    Raises:
        ConfigurationError: It cannot be read, or has lines that are no variables; all are named.
    """
    if not path.is_file():  # also of a folder, as environments of Python are called sometimes
        return {}
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        detail = "is not UTF-8: save it as UTF-8, as editors call it."
        raise ConfigurationError(
            "The settings cannot be read.", [Fault(path.name, detail)]
        ) from error
    except OSError as error:
        detail = f"cannot be read: {error.strerror}."
        raise ConfigurationError(
            "The settings cannot be read.", [Fault(path.name, detail)]
        ) from error
    faults = [
        Fault(f"{path.name}:{each.original.line}", "is no line of the form NAME=value.")
        for each in parse_stream(io.StringIO(text))
        if each.error
    ]
    if faults:
        raise ConfigurationError("The settings cannot be read.", faults)
    return dict(dotenv.dotenv_values(stream=io.StringIO(text)))


def without_links(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    """Variables of the environment, less those by which Kubernetes tells of a service."""
    return {
        name: value
        for name, value in variables.items()
        if not (OF_KUBERNETES.fullmatch(name) and _is_link(name, value or ""))
    }


def _is_link(name: str, value: str) -> bool:
    return name != f"{OURS}PORT" or LINK.match(value) is not None


def misspelt(given: Collection[str], known: Collection[str]) -> Iterator[Fault]:
    """A fault for every variable that is called like a setting, and is none.

    Args:
        given: Names of variables.
        known: Names of settings.
    """
    names = {*known, *(f"{OURS}{name}" for name in BARE)}
    words = [name.removeprefix(OURS) for name in names]
    for name in sorted(given):
        if name.upper().startswith(OURS) and name not in names:
            near = difflib.get_close_matches(name.upper().removeprefix(OURS), words, n=1)
            meant = f"did you mean {OURS}{near[0]}?" if near else "docs/configuration.md has all."
            yield Fault(name, f"is no setting: {meant}")
