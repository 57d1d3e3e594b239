"""How things are said on the page: text that stays text, errors as sentences, checks in words."""

import re
from collections.abc import Iterable
from typing import Any

import streamlit as st

from policy_server.contract.fields.field import Field
from policy_server.contract.pointers import steps_of
from policy_server.errors import FaultsError, PolicyServerError

MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&])")
NAMES = re.compile(r"`([^`]+)`")
"""As errors write names of the schema."""
RISKY = re.compile(r"([\\`*\[\]<>~$]|(?<!\w)_|_(?!\w)|:(?=\w))")
"""What would be markup within a line; all else may stay, as labels are read aloud with it."""
MAX_DESCRIPTION_CHARACTERS = 160


def plain(text: str) -> str:
    """Text of others as it is: nothing in it becomes markup, but names between backticks code."""
    parts = NAMES.split(" ".join(text.split()))
    return "".join(
        f"`{part}`" if index % 2 else MARKUP.sub(r"\\\1", part) for index, part in enumerate(parts)
    )


def code(name: str) -> str:
    """A name of the schema in code type, whatever is in it."""
    fence = "``" if "`" in name else "`"
    return f"{fence}{name}{fence}"


def say(error: PolicyServerError) -> None:
    """Show an error as a sentence, with each fault that it lists."""
    if isinstance(error, FaultsError):
        faults = [f"- {plain(place_of(fault.place, fault.detail))}" for fault in error.faults]
        st.error("\n".join([plain(error.summary), "", *faults]), icon=":material/error:")
    else:
        st.error(plain(str(error)), icon=":material/error:")


def several(number: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def are(number: int) -> str:
    """The verb after so many."""
    return "is" if number == 1 else "are"


def place_of(pointer: str, detail: str) -> str:
    """A fault with its place as people write it: `/coordinates/1` is `coordinates[1]`."""
    if not pointer.startswith("/"):
        return f"{pointer}: {detail}" if pointer else detail
    return f"`{path_name(steps_of(pointer))}` {detail}"


def path_name(steps: Any) -> str:
    """A way into an observation: a field's name, and the positions within it."""
    first, *others = steps
    return "".join([str(first), *(f"[{step}]" for step in others)])


def label(name: str, field: Field, *, marked: bool = False) -> str:
    """A field's label: its name, its unit, and what it is. Read aloud, so without markup.

    Args:
        name: Of the field.
        field: Says what it is.
        marked: It is required, and others are not.
    """
    description = " ".join((field.description or "").split())
    if len(description) > MAX_DESCRIPTION_CHARACTERS:
        description = f"{description[:MAX_DESCRIPTION_CHARACTERS].rstrip()} ..."
    mark, unit = "*" if marked else "", f" ({field.unit})" if field.unit else ""
    told = escaped(f"{unit}: {description}" if description else unit)
    return f"{escaped(name)}{mark}{told}"


def small(text: str) -> str:
    """A label above several controls, in the size of a control's own."""
    return f":small[{text}]"


def escaped(text: str) -> str:
    """Text of others within a label: nothing in it becomes markup, and most is read as it is."""
    return RISKY.sub(r"\\\1", text)


def show_report(report: dict[str, Any], active: str | None) -> None:
    """Show what came of an upload: the version, and each check in words.

    Args:
        report: Of the server.
        active: The version that decides now.
    """
    checks = report.get("checks", ())
    version = plain(str(report.get("version")))
    passed = all(check.get("passed") for check in checks)
    if report.get("state") == "complete" and str(report.get("version")) == active:
        st.success(f"Version {version} was staged, and decides now.", icon=":material/check:")
    elif report.get("state") == "complete" and passed:
        st.success(
            f"Version {version} is proven and staged; what is active stays so until you activate "
            "it above.",
            icon=":material/inventory:",
        )
    elif report.get("state") == "active":
        st.success(f"Version {version} is active: it decides from now on.", icon=":material/check:")
    elif report.get("state") == "complete":
        st.error(
            f"Version {version} is proven, but no worker could take it; what was active stays so. "
            "The last check below says why.",
            icon=":material/error:",
        )
    else:
        st.warning(
            f"Version {version} is not complete yet; what was active stays so. "
            "The checks below say what is missing.",
            icon=":material/hourglass_empty:",
        )
    show_checks(checks)


def show_checks(checks: Iterable[dict[str, Any]]) -> None:
    """Show each check of a report in words."""
    st.markdown("\n".join(f"- {_check(check)}" for check in checks))


def _check(check: dict[str, Any]) -> str:
    state = ":red[:material/cancel:] failed"
    if check.get("passed"):
        state = ":green[:material/check_circle:] passed"
    first, *lines = map(plain, str(check.get("detail")).split("\n"))
    table = "".join(f"\n    - {line}" for line in lines)
    return f"{state} · **{plain(str(check.get('name')))}**: {first}{table}"
