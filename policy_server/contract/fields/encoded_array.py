"""Arrays of numbers that are sent as text: base64 of their bytes, or of a PNG."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from policy_server.contract.fields import png
from policy_server.contract.fields.bounded import Bounded
from policy_server.contract.fields.controls import PictureEntry
from policy_server.contract.fields.decoded import Decoded, bytes_of
from policy_server.contract.fields.field import Field, Scalar, Value

BASE64, PNG = "base64", "png"
ENCODINGS = (BASE64, PNG)
WHOLE = "uint8"
DTYPES = {"integer": WHOLE, "number": "float32"}
"""The type of the bytes of each type of numbers; they are little-endian."""
BOUNDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
}
HIGHEST_BYTE = 255
LARGEST_FLOAT = float(np.finfo(np.float32).max)


@dataclass(frozen=True, kw_only=True)
class EncodedArray(Field):
    """An array of numbers of fixed size that is sent as text.

    Attributes:
        items: What each number may be: an integer from 0 to 255, or a number.
        sizes: Of each axis.
        encoding: What the text is base64 of: `base64` of the bytes, row by row, `png` of a picture.
        format: As the specification has base64.
    """

    json_type = "string"
    compact_type = "list"
    is_array = True

    items: Bounded
    sizes: tuple[int, ...]
    encoding: str
    format: str | None = "byte"

    @classmethod
    def of_schema_object(
        cls, schema: Mapping[str, Any], types: Mapping[str, type[Field]]
    ) -> "EncodedArray":
        """The field that a schema object of the specification describes.

        Args:
            schema: As `as_json_schema` makes it.
            types: Of fields, by their names in it.
        """
        given = schema["x-items"]
        bounds = {BOUNDS[name]: value for name, value in given.items() if name in BOUNDS}
        items = types[given["type"]].of(bounds)
        assert isinstance(items, Bounded)
        return cls(items=items, sizes=tuple(schema["x-shape"]), encoding=schema["x-encoding"])

    @property
    def leaf(self) -> Scalar:
        return self.items

    @property
    def dtype(self) -> str:
        """What its bytes are, as NumPy calls it."""
        return DTYPES[self.items.json_type]

    @property
    def _little_endian(self) -> np.dtype[Any]:
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def byte_count(self) -> int:
        """How many bytes it has before anything packs them."""
        return self.feature_width * np.dtype(self.dtype).itemsize

    @property
    def picture(self) -> tuple[int, int, int] | None:
        """Height, width and channels, where its shape is that of one picture; see `picture_of`."""
        return png.picture_of(self.sizes)

    @property
    def channels_first(self) -> bool:
        """Its shape is [channels, height, width]."""
        picture = self.picture
        return picture is not None and len(self.sizes) > 2 and picture != self.sizes

    def read(self, text: object) -> NDArray[Any]:
        """The array that a text stands for.

        Raises:
            ValueError: What is wrong with it, in words that follow upon its name.
        """
        content = bytes_of(text)
        array = self._unpacked(content) if self.encoding == PNG else self._raw(content)
        self._check_bounds(array)
        return array

    def taken(self, array: NDArray[Any]) -> Decoded:
        """The decoded value of an array of its shape that was not sent as text.

        Raises:
            ValueError: A number is out of bounds.
        """
        array = np.ascontiguousarray(array, self.dtype)
        self._check_bounds(array)
        return self._decoded(array)

    def write(self, array: NDArray[Any]) -> str:
        """The text that stands for an array of its shape."""
        if self.encoding == PNG:
            content = png.write_png(self.as_picture(array))
        else:
            content = np.ascontiguousarray(array, self._little_endian).tobytes()
        text: str = msgspec.to_builtins(content)
        return text

    def as_picture(self, array: NDArray[Any]) -> NDArray[Any]:
        """An array of its shape as [height, width, channels]."""
        assert self.picture is not None
        moved = np.moveaxis(array, 0, -1) if self.channels_first else array
        return moved.reshape(self.picture)

    def of_picture(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """[height, width, channels] as an array of its shape."""
        moved = np.moveaxis(pixels, -1, 0) if self.channels_first else pixels
        return np.ascontiguousarray(moved).reshape(self.sizes)

    def _raw(self, content: bytes) -> NDArray[Any]:
        if len(content) != self.byte_count:
            wanted = f"{self.byte_count} bytes, {_product(self.sizes)} of {self.dtype}"
            raise ValueError(f"must be base64 of {wanted}, not of {len(content)}")
        array = np.frombuffer(content, self._little_endian).reshape(self.sizes)
        return array.astype(self.dtype, copy=False)

    def _unpacked(self, content: bytes) -> NDArray[Any]:
        assert self.picture is not None
        try:
            pixels = png.read_png(content, *self.picture)
        except ValueError as error:
            raise ValueError(f"must be base64 of {self._content_in_words()}: it {error}") from error
        return self.of_picture(pixels)

    def _check_bounds(self, array: NDArray[Any]) -> None:
        """Compare with the bounds, rounded as the numbers are: float32 has no 0.1."""
        if self.dtype != WHOLE and not np.isfinite(array).all():
            self._refuse(array, ~np.isfinite(array), "must be finite")
        low, high = self._ends
        if low is not None and array.min() < low:
            at_least = "above" if self.items.exclusive_minimum else "at least"
            self._refuse(array, array < low, f"must be {at_least} {self.items.minimum}")
        if high is not None and array.max() > high:
            at_most = "below" if self.items.exclusive_maximum else "at most"
            self._refuse(array, array > high, f"must be {at_most} {self.items.maximum}")

    @cached_property
    def _ends(self) -> tuple[Any, Any]:
        """The lowest and the highest number; None where every number of the type is allowed."""
        low, high = self.items.lowest, self.items.highest
        if self.dtype == WHOLE:
            return low or None, None if high is None or high >= HIGHEST_BYTE else high
        ends: list[Any] = []
        for bound, exclusive, inwards in (
            (self.items.minimum, self.items.exclusive_minimum, math.inf),
            (self.items.maximum, self.items.exclusive_maximum, -math.inf),
        ):
            end = None if bound is None else np.float32(bound)
            ends.append(
                np.nextafter(end, np.float32(inwards)) if exclusive and end is not None else end
            )
        return ends[0], ends[1]

    @staticmethod
    def _refuse(array: NDArray[Any], wrong: NDArray[Any], fault: str) -> None:
        places = np.argwhere(wrong)
        others = f", and {len(places) - 1} more" if len(places) > 1 else ""
        place = places[0].tolist()
        raise ValueError(f"{fault} throughout, not {array[tuple(place)]} at {place}{others}")

    def unservable(self, value: Any) -> str | None:
        try:
            self.read(value)
        except ValueError as error:
            return str(error)
        return None

    def type_keywords(self) -> dict[str, object]:
        items = {
            key: value for key, value in self.items.as_json_schema().items() if key != "x-unit"
        }
        return {"x-encoding": self.encoding, "x-shape": [*self.sizes], "x-items": items}

    def _described(self) -> str:
        content = f"Base64 of {self._content_in_words()}"
        said = super()._described()
        return content if said is None else f"{said.rstrip('.')}. {content}"

    def _content_in_words(self) -> str:
        if self.encoding == PNG:
            assert self.picture is not None
            height, width, channels = self.picture
            what = png.CHANNELS[channels]
            return f"a PNG of {width} x {height} pixels (width x height), {what}, 8 bits a channel"
        return f"{_product(self.sizes)} numbers, row by row, {self.dtype} (little-endian)"

    def values_in_words(self) -> str:
        return f"base64 of {self._content_in_words()}; each {self.items.in_words()}"

    def entry_in_words(self) -> str:
        return f"base64 of {self._content_in_words()}"

    def control(self) -> PictureEntry:
        return PictureEntry()

    def parse(self, text: str) -> str:
        return text

    @cached_property
    def _decoded(self) -> type[Decoded]:
        if self.encoding == PNG:
            png.prepare()
        return type("Decoded", (Decoded,), {"read": self.read, "__slots__": ()})

    def decoded_type(self) -> Any:
        return self._decoded

    def decoded_default(self) -> Any:
        return None if self.default is None else self._decoded(self.read(self.default))

    def sample(self, rng: np.random.Generator) -> Value:
        drawn = np.array(self.items.draw(rng, self.feature_width), self.dtype).reshape(self.sizes)
        return self.write(np.clip(drawn, *self._ends) if any(self._bounded) else drawn)

    @property
    def _bounded(self) -> tuple[bool, bool]:
        return self._ends[0] is not None, self._ends[1] is not None

    def scalars(self, place: str) -> Iterator[tuple[str, Scalar]]:
        for index in np.ndindex(self.sizes):
            yield place + "".join(f"[{each}]" for each in index), self.items

    def assembled(self, terms: Iterator[str]) -> str:
        raise NotImplementedError  # no action is sent so

    @property
    def axes(self) -> tuple[int, ...]:
        return self.sizes

    @property
    def feature_width(self) -> int:
        return math.prod(self.sizes)

    def feature_terms(self, place: str, tables: dict[str, Any]) -> str:
        return f"*{place}.flat()"


def fault_of(encoding: object, items: Scalar, sizes: tuple[int, ...] | None) -> str | None:
    """Why an array cannot be sent so, in words that follow upon the keyword; None where it can.

    Args:
        encoding: What the schema says.
        items: The numbers.
        sizes: Of each axis; None where they vary.
    """
    if encoding not in ENCODINGS:
        return f"is one of {', '.join(ENCODINGS)}."
    if sizes is None or 0 in sizes:
        return "goes with arrays of fixed size: `shape`, or as many items at least as at most."
    if not isinstance(items, Bounded):
        return "goes with arrays of integers within bounds, or of numbers."
    whole = DTYPES[items.json_type] == WHOLE
    if whole:
        if items.lowest is None or items.lowest < 0 or (items.highest or math.inf) > HIGHEST_BYTE:
            return "goes with integers of a byte: `minimum: 0, maximum: 255`, or within these."
    elif any(abs(end) > LARGEST_FLOAT for end in items.bounds if end is not None):
        return "goes with numbers of float32: its bounds lie beyond."
    if encoding == PNG and not whole:
        return "may be `png` for integers alone, numbers are sent as `base64`."
    if encoding == PNG and png.picture_of(sizes) is None:
        return (
            "may be `png` for the shapes [H, W], [H, W, C] and [C, H, W] with 1 to "
            f"{png.MAX_CHANNELS} channels, and {[*sizes]} is not clearly one of them: `base64` "
            "takes any."
        )
    return None


def _product(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
