"""JSON pointers (RFC 6901): the place of a value in a JSON document, as text."""

from collections.abc import Iterable


def pointer_to(steps: Iterable[str | int]) -> str:
    """The pointer that takes these steps: names of members and positions in lists."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def steps_of(pointer: str) -> list[str]:
    """The steps that a pointer takes; positions stay text."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
