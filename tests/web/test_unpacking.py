"""What compressed bodies become, in whichever pieces they come, and where they are refused."""

import gzip
import random
import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_server.web.compressed import MOST_MEMBERS, PIECE_BYTES, Damaged, TooLong, Unpacker
from policy_server.web.media_types import accepts

LIMIT = 1_000_000


def unpack(
    packed: bytes, coding: str = "gzip", cuts: Sequence[int] = (), limit: int = LIMIT
) -> bytes:
    unpacker = Unpacker(coding, limit)
    ends = [*sorted(cuts), len(packed)]
    for begin, end in zip([0, *ends], ends, strict=False):
        unpacker.add(packed[begin:end])
    return unpacker.end()


@given(
    st.lists(st.binary(max_size=400).map(lambda part: part * 60), min_size=1, max_size=4),
    st.lists(st.integers(0, 30_000), max_size=5),
)
def test_members_in_pieces_are_the_body(members: list[bytes], cuts: list[int]) -> None:
    packed = b"".join(map(gzip.compress, members))
    assert unpack(packed, "gzip", cuts) == b"".join(members)
    whole = b"".join(members)
    assert unpack(zlib.compress(whole), "deflate", cuts) == whole


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, LIMIT])
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate"])
def test_every_size_up_to_the_limit_is_taken(size: int, coding: str) -> None:
    body = bytes(size)
    packed = zlib.compress(body) if coding == "deflate" else gzip.compress(body)
    assert unpack(packed, coding) == body
    assert unpack(packed, coding, range(0, len(packed), 7)) == body


def test_nothing_is_an_empty_body() -> None:
    assert unpack(b"") == b""


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_what_expands_beyond_the_limit_is_held_no_further(coding: str) -> None:
    bomb = bytes(300_000_000)
    packed = zlib.compress(bomb, 9) if coding == "deflate" else gzip.compress(bomb)
    unpacker = Unpacker(coding, LIMIT)
    with pytest.raises(TooLong):
        unpacker.add(packed)
    assert LIMIT < len(unpacker.body) <= LIMIT + PIECE_BYTES


@pytest.mark.parametrize("cut", [1, 5, 9, 12, -9, -8, -4, -1])
def test_a_missing_end_is_refused(cut: int) -> None:
    with pytest.raises(Damaged, match="end is missing"):
        unpack(gzip.compress(b"an observation" * 9)[:cut])
    with pytest.raises(Damaged):
        unpack(zlib.compress(b"an observation" * 9)[:-1], "deflate")


@pytest.mark.parametrize("tail", [b"x", b"\0", bytes(512), b"\x1f", b"\x1f\x8b", b"{}"])
def test_what_follows_the_end_is_refused(tail: bytes) -> None:
    for coding, packed in (("gzip", gzip.compress(b"{}")), ("deflate", zlib.compress(b"{}"))):
        with pytest.raises(Damaged):
            unpack(packed + tail, coding)


def test_other_formats_are_refused() -> None:
    raw = zlib.compressobj(wbits=-15)
    for packed in (raw.compress(b"{}") + raw.flush(), zlib.compress(b"{}"), b"{}", b"\x1f\x8b\x07"):
        with pytest.raises(Damaged):
            unpack(packed)
    with pytest.raises(Damaged):
        unpack(gzip.compress(b"{}"), "deflate")


def test_no_damage_is_taken_for_another_body() -> None:
    """A bit that flips is found: by the checksum, or it stands where nothing follows from it."""
    body = b'{"id": 1, "coordinates": [3, 4]}' * 20
    whole, chance = gzip.compress(body, mtime=0), random.Random(7)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        try:
            assert unpack(bytes(damaged)) == body
        except Damaged:
            continue


def test_there_are_only_so_many_members() -> None:
    one = gzip.compress(b"a")
    assert unpack(one * MOST_MEMBERS) == b"a" * MOST_MEMBERS
    with pytest.raises(Damaged, match="members"):
        unpack(one * (MOST_MEMBERS + 1))


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ("", True),
        ("*/*", True),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/*", True),
        ("text/html, application/xml;q=0.9, */*;q=0.8", True),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", True),  # of Java's own client
        ("application/json;q=0.001", True),
        ("text/csv", False),
        ("text/*", False),
        ("application/xml, text/html;q=0.9", False),
        ("application/problem+json", True),  # of Python's SDKs, for what is a text or a zip
        ("application/problem+json;q=0", False),
        ("application/json;q=0, application/problem+json", False),
        ("application/json;q=0", False),
        ("application/json;q=0.000, */*", False),
        ("*/*;q=0", False),
        ("application/*;q=0, */*", False),
        ("application/*;q=0, application/json", True),
        ("nonsense", True),
        (",,", True),
        ("application/json;q=much", True),
        ('text/csv;title="a, b"', True),
        ("\xff", True),
    ],
)
def test_the_most_specific_range_decides(value: str, taken: bool) -> None:
    assert accepts(value.encode("latin-1")) is taken
