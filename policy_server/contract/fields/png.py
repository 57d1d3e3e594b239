"""Pictures as PNG: of exactly the size and the channels that are wanted, or refused with a reason.

The header is read before anything is unpacked, so a picture never takes more memory than the field
it is for; and the decoder sees no part of a file but the header and the pixels.
"""

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = struct.Struct(">IIBBBBB")
CHUNK = struct.Struct(">I4s")
CHECKSUM_BYTES = 4
CHANNELS = {1: "grayscale", 2: "grayscale with alpha", 3: "RGB", 4: "RGBA"}
"""What a picture of so many channels is called."""
MAX_CHANNELS = max(CHANNELS)
COLOUR_TYPES = {0: 1, 4: 2, 2: 3, 6: 4}
"""The channels of each colour type of PNG; 3 is a palette."""
PALETTE = 3
BITS = 8
REFUSED = {b"tRNS": "has a transparent colour", b"acTL": "is an animation"}
KEPT = frozenset({b"IHDR", b"IDAT", b"IEND"})
UNTOLD_BYTES = 65_536
"""So much may a file hold beside its pixels: a title, a time, a colour profile."""


def most_bytes(numbers: int) -> int:
    """How long a PNG of so many numbers may be; pixels that cannot be packed hardly grow."""
    return 2 * numbers + UNTOLD_BYTES


def read_png(content: bytes, height: int, width: int, channels: int) -> Pixels:
    """The pixels of a PNG, uint8[height, width, channels].

    Raises:
        ValueError: It is no PNG, or another one than is wanted: what it is.
    """
    most = most_bytes(height * width * channels)
    if len(content) > most:
        raise ValueError(f"is a file of {len(content)} bytes, at most {most} are taken")
    image = _images().open(io.BytesIO(_stripped(content, (height, width), channels)), "r", ["PNG"])
    try:
        image.load()
    except Exception as error:  # Pillow raises many things of pixels that are damaged
        raise ValueError(f"is a damaged PNG: {error}") from error
    return np.asarray(image).reshape(height, width, channels)


def write_png(pixels: Pixels) -> bytes:
    """A PNG of uint8[height, width, channels]."""
    written = io.BytesIO()
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    _images().fromarray(np.ascontiguousarray(flat)).save(written, "PNG", compress_level=1)
    return written.getvalue()


def prepare() -> None:
    """Load what reads pictures now, and not when the first one comes."""
    _images().init()


def _images() -> Any:
    from PIL import Image  # only who is sent pictures needs it

    return Image


def _stripped(content: bytes, size: tuple[int, int], channels: int) -> bytes:
    """The file without all that does not make its pixels."""
    kept = [SIGNATURE]
    for name, whole in _chunks(content):
        if (len(kept) == 1) != (name == b"IHDR"):
            raise ValueError("is a PNG that does not begin with one header")
        if name == b"IHDR":
            _check_header(whole[CHUNK.size : -CHECKSUM_BYTES], size, channels)
        if name in REFUSED:
            raise ValueError(REFUSED[name])
        if name in KEPT:
            kept.append(whole)
    return b"".join(kept)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The name of each part of a file, and the part."""
    if not content.startswith(SIGNATURE):
        raise ValueError("is no PNG")
    place, name = len(SIGNATURE), b""
    while name != b"IEND":
        length, name = CHUNK.unpack(content[place : place + CHUNK.size].ljust(CHUNK.size, b"\xff"))
        end = place + CHUNK.size + length + CHECKSUM_BYTES
        if end > len(content):
            raise ValueError("is a PNG that is cut short")
        yield name, content[place:end]
        place = end
    if place < len(content):
        raise ValueError(f"has {len(content) - place} bytes behind the end of the PNG")


def _check_header(header: bytes, size: tuple[int, int], channels: int) -> None:
    if len(header) != HEADER.size:
        raise ValueError("is a PNG with a damaged header")
    width, height, bits, colour, _, _, interlaced = HEADER.unpack(header)
    if (height, width) != size:
        raise ValueError(f"has {width} x {height} pixels")
    if colour == PALETTE:
        raise ValueError("has a palette")
    found = COLOUR_TYPES.get(colour)
    if found is None:
        raise ValueError("is a PNG with a damaged header")
    if found != channels:
        raise ValueError(f"is {CHANNELS[found]}")
    if bits != BITS:
        raise ValueError(f"has {bits} bits a channel")
    if interlaced:
        raise ValueError("is interlaced")


def picture_of(sizes: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Height, width and channels of [H, W], [H, W, C] or [C, H, W]; None where it is not clear.

    C is one of the numbers of channels that pictures have, and only one of the ends may be that.
    """
    if len(sizes) == 2:
        return (*sizes, 1)
    if len(sizes) != 3 or (sizes[0] <= MAX_CHANNELS) == (sizes[2] <= MAX_CHANNELS):
        return None
    return sizes if sizes[2] <= MAX_CHANNELS else (sizes[1], sizes[2], sizes[0])
