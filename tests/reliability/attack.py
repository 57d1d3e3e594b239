"""Attacks a server, until its input ends: `python -m tests.reliability.attack PORT`.

1,000 connections that say nothing, slow heads, wrong passwords, and bodies that are hard to refuse,
from strangers and with a key; who is thrown out comes again.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable

from tests.support.server import KEY

IDLE, SLOW = 1_000, 50
PASSWORDS_A_SECOND, BODIES_A_SECOND = 50, 4
PAUSE_SECONDS = 0.2
WRONG = b"Authorization: Basic dGVzdGVyOndyb25n\r\n"
POST = b"POST /api/predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
KNOWN = POST + b"X-API-Key: " + KEY.encode() + b"\r\n"
HOSTILE = (
    b'{"warmth": [%s]}' % b",".join([b"3"] * 100_000),
    b"{%s}" % b",".join(b'"%x": 1' % index for index in range(20_000)),
    b'{"warmth": ' + b"[" * 50_000,
    json.dumps({"warmth": "x" * 200_000}).encode(),
)
Attack = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter, __: int) -> None:
    """Until the server ends it."""
    while await reader.read(65536):
        pass


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: int) -> None:
    """A head, a byte at a time."""
    writer.write(b"POST /api/predict HTTP/1.1\r\nHost: x\r\nX: ")
    while not writer.is_closing():
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(PAUSE_SECONDS)


async def guess(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: int) -> None:
    """Wrong passwords, a share of those in a second."""
    while True:
        writer.write(POST + WRONG + b"Content-Length: 17\r\n\r\n" + b'{"warmth": 20.00}')
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(10 / PASSWORDS_A_SECOND)


async def burden(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, turn: int) -> None:
    """One body that is hard to refuse, by whoever has a key and by whoever has none."""
    body = HOSTILE[turn // 2 % len(HOSTILE)]
    head = KNOWN if turn % 2 else POST + b"Connection: close\r\n"
    writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(4 / BODIES_A_SECOND)


async def again_and_again(port: int, attack: Attack) -> None:
    """Connect, attack, and when it is over, do so again."""
    turn = 0
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await attack(reader, writer, turn)
            finally:
                writer.close()
        turn += 1
        await asyncio.sleep(PAUSE_SECONDS)


async def run(port: int) -> None:
    """Attack until the input ends."""
    kinds = [(say_nothing, IDLE), (drip, SLOW), (guess, 10), (burden, 4)]
    attackers = [
        asyncio.create_task(again_and_again(port, attack))
        for attack, count in kinds
        for _ in range(count)
    ]
    await asyncio.sleep(2)
    print("begun", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for attacker in attackers:
        attacker.cancel()


if __name__ == "__main__":
    os.nice(10)
    asyncio.run(run(int(sys.argv[1])))
