"""The memory of an episode comes back as it was given out, or is refused for what is wrong."""

import base64
import hashlib
import hmac
import random
import re
import string
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from policy_server.errors import (
    EpisodeExpired,
    MemoryCut,
    MemoryForeign,
    MemoryForged,
    MemoryRefused,
)
from policy_server.serving.memory_tokens import HEAD, Episode, MemoryTokens

KEY, CONTRACT, SECONDS = b"k" * 32, "0123456789abcdef", 100
CASES = 5_000
ALPHABET = string.ascii_letters + string.digits + "-_"
LETTERS = [*ALPHABET, "=", "+", "/", "\n", "é", "\\", '"']
NAME = "3-5f0c9a2e"


@dataclass
class Clock:
    """The time that tokens are read at."""

    now: float = 5_000.0

    def __call__(self) -> float:
        return self.now


def episode(state: bytes = b"", **changed: Any) -> Episode:
    return Episode(NAME, 7, 5_000, bytes(range(16)), state)._replace(**changed)


def tokens(key: bytes = KEY, contract: str = CONTRACT, clock: Clock | None = None) -> MemoryTokens:
    return MemoryTokens(key, contract, SECONDS, clock or Clock())


@pytest.mark.parametrize("size", [*range(13), 4 * 250, 4 * 125_000])
def test_an_episode_comes_back_whatever_its_length(size: int) -> None:
    given = episode(random.Random(size).randbytes(size))
    text = tokens().write(given)
    assert re.fullmatch("[A-Za-z0-9_-]+", text)  # fit for a URL, a cookie, a file's name
    assert len(text) < 4 / 3 * (HEAD.size + len(NAME) + size) + 1
    assert tokens().read(text) == given


def test_an_episode_is_written_alike_each_time() -> None:
    assert tokens().write(episode()) == tokens(clock=Clock(5_050.5)).write(episode())


@pytest.mark.parametrize("seed", range(4))
def test_no_changed_memory_is_taken(seed: int) -> None:
    """One character or a few, cut off, put in, exchanged between two tokens."""
    rng = random.Random(seed)
    one = tokens().write(episode(rng.randbytes(64), nonce=rng.randbytes(16)))
    other = tokens().write(episode(rng.randbytes(64), nonce=rng.randbytes(16), steps=8))
    written = {one, other}
    kinds = set()
    for _ in range(CASES):
        changed = _changed(rng, one, other)
        if changed in written:
            continue
        with pytest.raises(MemoryRefused) as caught:
            tokens().read(changed)
        kinds.add(type(caught.value))
    assert kinds == {MemoryCut, MemoryForged}


def _changed(rng: random.Random, one: str, other: str) -> str:
    start = rng.randrange(len(one))
    end = rng.randrange(start, len(one) + 1)
    how = rng.randrange(6)
    if how == 0:
        return one[:start]
    if how == 1:
        return one[:start] + other[start:]
    if how == 2:
        return one[:start] + other[start:end] + one[end:]
    if how == 3:
        return one[:start] + one[end:]
    if how == 4:
        return f"{one[:start]}{rng.choice(LETTERS)}{one[start:]}"
    return f"{one[:start]}{rng.choice(ALPHABET)}{one[start + 1 :]}"


@pytest.mark.parametrize("size", [0, 1, 2, 400])
def test_a_memory_that_was_cut_is_told_from_one_that_was_changed(size: int) -> None:
    text = tokens().write(episode(bytes(size)))
    for length in range(len(text)):
        with pytest.raises(MemoryCut, match="is not whole"):
            tokens().read(text[:length])


@pytest.mark.parametrize("state", [b"", b"x", b"xy"])
def test_a_memory_is_spelled_in_one_way_alone(state: bytes) -> None:
    """Bits that base64 leaves over, filling, and the letters of the plain alphabet."""
    text = tokens().write(episode(state))
    plain = base64.b64encode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).decode()
    spellings = {text + "=", text + "==", text + "\n", f" {text}", plain, plain.rstrip("=")}
    spellings |= {text[:-1] + letter for letter in ALPHABET}
    assert len(spellings) > 64
    for spelling in spellings - {text}:
        with pytest.raises(MemoryRefused):
            tokens().read(spelling)


def test_a_memory_of_another_key_is_forged() -> None:
    with pytest.raises(MemoryForged, match="was not written by this server"):
        tokens(b"another").read(tokens().write(episode()))


def test_a_memory_of_another_contract_is_foreign() -> None:
    with pytest.raises(MemoryForeign, match="another schema"):
        tokens(contract="f" * 16).read(tokens().write(episode()))


def test_a_memory_of_another_format_is_foreign() -> None:
    text = tokens().write(episode())
    raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    raw[32] = 2
    raw[:32] = hmac.digest(KEY, bytes(raw[32:]), hashlib.sha256)
    with pytest.raises(MemoryForeign, match="another release"):
        tokens().read(base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


def test_an_episode_lasts_so_long_and_no_longer() -> None:
    clock = Clock()
    text = tokens().write(episode(began=4_000))
    clock.now = 4_000 + SECONDS - 0.001
    assert tokens(clock=clock).read(text).began == 4_000
    clock.now = 4_000 + SECONDS
    with pytest.raises(EpisodeExpired, match="began 100 seconds ago or earlier"):
        tokens(clock=clock).read(text)


def test_every_bit_of_a_memory_is_signed() -> None:
    text = tokens().write(episode(struct.pack("<2f", 0.5, -1)))
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    for place in range(len(raw)):
        for bit in range(8):
            changed = bytearray(raw)
            changed[place] ^= 1 << bit
            with pytest.raises(MemoryRefused):
                tokens().read(base64.urlsafe_b64encode(changed).rstrip(b"=").decode())


@pytest.mark.parametrize(
    ("refused", "remedy"),
    [
        (lambda: tokens().read(tokens().write(episode())[:40]), "Send it as it came, all of it."),
        (lambda: tokens(b"x").read(tokens().write(episode())), "Begin a new episode"),
        (lambda: tokens(contract="f" * 16).read(tokens().write(episode())), "Begin a new episode"),
        (lambda: tokens(clock=Clock(9_000)).read(tokens().write(episode())), "Begin a new episode"),
    ],
)
def test_what_is_refused_says_what_to_do(refused: Callable[[], Episode], remedy: str) -> None:
    with pytest.raises(MemoryRefused) as caught:
        refused()
    assert caught.value.summary == "The episode cannot go on."
    assert remedy in caught.value.faults[0].detail
