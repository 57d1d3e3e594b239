"""Requests are told in groups: all of them, once, in their order."""

import asyncio
from collections.abc import Sequence
from typing import Any

from policy_server.web.gathering import MOST_GATHERED, Gathering

ENOUGH_SECONDS = 30


class Listener:
    """Keeps the names of the requests that it is told of."""

    def __init__(self) -> None:
        self.names: list[bytes] = []

    def __call__(self, requests: Sequence[Any]) -> None:
        self.names += [request[3] for request in requests]


def note(gathering: Gathering, numbers: range) -> list[bytes]:
    names = [b"%d" % number for number in numbers]
    for name in names:
        gathering("predict", 200, b"1-0", name, None, None, None)
    return names


def test_a_full_group_is_told_at_once_and_what_is_left_a_moment_later() -> None:
    asyncio.run(_groups())


async def _groups() -> None:
    first, second = Listener(), Listener()
    gathering = Gathering([first, second])
    names = note(gathering, range(MOST_GATHERED + 1))
    assert first.names == second.names == names[:MOST_GATHERED]
    async with asyncio.timeout(ENOUGH_SECONDS):
        while len(first.names) < len(names):
            await asyncio.sleep(0.005)
    assert first.names == second.names == names
    more = note(gathering, range(3))
    gathering.tell()
    assert first.names == second.names == [*names, *more]
