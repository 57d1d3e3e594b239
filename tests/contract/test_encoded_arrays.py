"""Arrays that are sent as text: base64 of bytes or of a PNG, decoded as if they had been lists."""

import base64
import functools
import io
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from policy_server.contract.decoding import LONG_BYTES, Decoder, compile_features
from policy_server.contract.fields.encoded_array import EncodedArray
from policy_server.contract.fields.registry import TYPES
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import ObservationSchema
from policy_server.errors import SchemaError
from policy_server.web.explaining import validator_of
from tests.contract.test_wide import fastest

BYTES = "type: 'List[int]', minimum: 0, maximum: 255"
FLOATS = "type: 'List[float]'"


def schema_of(keywords: str, more: str = "") -> ObservationSchema:
    return read_schema(f"observations:\n  camera: {{{keywords}}}\n{more}")


def field_of(keywords: str) -> EncodedArray:
    field = schema_of(keywords).fields["camera"]
    assert isinstance(field, EncodedArray)
    return field


def body(text: object, **others: object) -> bytes:
    return json.dumps({"camera": text, **others}).encode()


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def png_of(pixels: NDArray[Any], mode: str | None = None, **options: Any) -> str:
    written = io.BytesIO()
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(written, "PNG", **options)
    return base64_of(written.getvalue())


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, shape, np.uint8)


def refusal(schema: ObservationSchema, text: object) -> str:
    """Why the decoder refuses a text; the spec refuses it for the same reason."""
    with pytest.raises(msgspec.ValidationError, match=r" - at `\$\.camera`$") as caught:
        Decoder(schema).decode(body(text))
    message = str(caught.value).removesuffix(" - at `$.camera`")
    (error,) = validator_of(schema.as_json_schema()).iter_errors({"camera": text})
    assert [*error.absolute_path] == ["camera"]
    if isinstance(text, str):
        assert error.message == message
    return message


class TestSpelling:
    def test_both_dialects_say_the_same(self) -> None:
        short = schema_of(f"{BYTES}, shape: [9, 8, 4], encoding: png")
        item = "{type: integer, minimum: 0, maximum: 255}"
        for size in (4, 8):
            item = f"{{type: array, minItems: {size}, maxItems: {size}, items: {item}}}"
        long = read_schema(
            "Observation: {type: object, required: [camera], properties: {camera: "
            f"{{type: array, minItems: 9, maxItems: 9, encoding: png, items: {item}}}}}}}"
        )
        assert short.digest == long.digest
        assert short.fields == long.fields

    def test_a_shape_alone_is_short_for_lists_in_lists(self) -> None:
        short = schema_of("type: 'List[int]', shape: [2, 3]")
        items = "items: {type: 'List[int]', min_items: 3, max_items: 3}"
        long = schema_of(f"type: list, min_items: 2, max_items: 2, {items}")
        assert short.fields == long.fields

    def test_the_specification_says_what_the_text_is(self) -> None:
        described = field_of(f"{BYTES}, shape: [3, 84, 96], encoding: png, description: Front.")
        schema = described.as_json_schema()
        assert (schema["type"], schema["format"]) == ("string", "byte")
        assert schema["description"] == (
            "Front. Base64 of a PNG of 96 x 84 pixels (width x height), RGB, 8 bits a channel"
        )
        assert EncodedArray.of_schema_object(schema, TYPES).meaning() == described.meaning()
        raw = field_of(f"{FLOATS}, shape: [4, 2], encoding: base64").as_json_schema()
        numbers = "Base64 of 4 x 2 numbers, row by row, float32 (little-endian)"
        assert raw["description"] == numbers

    @pytest.mark.parametrize(
        ("keywords", "fault"),
        [
            (f"{BYTES}, shape: [2, 3], encoding: jpeg", "is one of base64, png"),
            (f"{BYTES}, encoding: png", "arrays of fixed size"),
            (f"{BYTES}, min_items: 1, max_items: 4, encoding: base64", "arrays of fixed size"),
            ("type: 'List[int]', shape: [2, 3], encoding: base64", "integers of a byte"),
            (
                "type: 'List[int]', minimum: -1, maximum: 9, shape: [2], encoding: base64",
                "integers of a byte",
            ),
            ("type: 'List[int]', enum: [1, 2], shape: [2], encoding: base64", "integers within"),
            (f"{FLOATS}, shape: [2, 3], encoding: png", "integers alone"),
            (f"{FLOATS}, maximum: 1e39, shape: [2], encoding: base64", "lie beyond"),
            (f"{BYTES}, shape: [12, 84, 84], encoding: png", "not clearly one of them"),
            (f"{BYTES}, shape: [3, 84, 4], encoding: png", "not clearly one of them"),
            (f"{BYTES}, shape: [5], encoding: png", "not clearly one of them"),
            ("type: 'List[bool]', shape: [2], encoding: base64", "integers within bounds"),
            ("type: int, encoding: base64", "goes with arrays only"),
            ("type: float, shape: [2]", "goes with arrays only"),
            (f"{BYTES}, shape: [2, 0]", "is a list of 1 to 9 sizes"),
            (f"{BYTES}, shape: 4", "is a list of 1 to 9 sizes"),
            (f"{BYTES}, shape: [true]", "is a list of 1 to 9 sizes"),
            (f"{BYTES}, shape: [4], min_items: 4", "it alone"),
            (f"{BYTES}, shape: [1000, 1001]", "more than 1,000,000 numbers"),
            (
                "type: list, shape: [2], items: {type: 'List[int]', min_items: 1, max_items: 1}",
                "has all sizes",
            ),
            (
                f"type: list, min_items: 2, max_items: 2, items: {{{BYTES}, shape: [3], "
                "encoding: base64}",
                "stands at its outermost array",
            ),
        ],
    )
    def test_what_cannot_be_sent_so_is_refused_with_its_line(
        self, keywords: str, fault: str
    ) -> None:
        with pytest.raises(SchemaError) as caught:
            schema_of(keywords)
        (found,) = caught.value.faults
        assert found.place == "schema.yaml:2"
        assert fault in found.detail

    def test_no_mask_and_no_action_is_sent_so(self) -> None:
        coded = f"{BYTES}, shape: [2], encoding: base64"
        actions = "actions:\n  steer: {type: str, enum: [left, right]}\n"
        with pytest.raises(SchemaError) as caught:
            schema_of(f"{coded}, mask_of: steer", actions)
        assert "a list of 2 booleans is wanted" in caught.value.faults[0].detail
        with pytest.raises(SchemaError) as caught:
            schema_of(BYTES, f"actions:\n  push: {{{coded}}}\n")
        assert "leave `encoding` out" in caught.value.faults[0].detail


@st.composite
def fields(draw: st.DrawFn) -> tuple[EncodedArray, NDArray[Any]]:
    """A field, and an array that it takes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if draw(st.booleans()):
        shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
        low, high = sorted(draw(st.tuples(*[st.floats(-(2.0**126), 2.0**126, width=32)] * 2)))
        keywords = f"{FLOATS}, minimum: {low!r}, maximum: {high!r}, encoding: base64"
        shares = rng.random(shape)
        array = (low * (1 - shares) + high * shares).astype("f4").clip(low, high)
    else:
        channels = draw(st.integers(1, 4))
        height, width = draw(st.tuples(*[st.integers(5, 12)] * 2))
        sizes = [(height, width), (height, width, channels), (channels, height, width)]
        shape = [*draw(st.sampled_from(sizes))]
        encoding = draw(st.sampled_from(["base64", "png"]))
        keywords = f"{BYTES}, encoding: {encoding}"
        array = rng.integers(0, 256, shape, np.uint8)
    return field_of(f"{keywords}, shape: {shape}"), array


class TestDecoding:
    @settings(max_examples=150, deadline=None)
    @given(fields())
    def test_what_was_written_is_what_comes(self, pair: tuple[EncodedArray, Any]) -> None:
        field, array = pair
        text = field.write(array)
        schema = ObservationSchema({"camera": field}, frozenset({"camera"}))
        decoder = Decoder(schema)
        for record in (decoder.decode(body(text)), decoder.convert({"camera": text})):
            assert decoder.to_dict(record) == {"camera": array.tolist()}
            np.testing.assert_array_equal(compile_features(schema)(record), array.ravel())
        assert validator_of(schema.as_json_schema()).is_valid({"camera": text})

    @settings(max_examples=60, deadline=None)
    @given(fields(), st.integers(0, 2**32))
    def test_draws_are_valid_and_reach_the_bounds(
        self, pair: tuple[EncodedArray, Any], seed: int
    ) -> None:
        field, rng = pair[0], np.random.default_rng(seed)
        drawn = np.array([field.read(field.sample(rng)) for _ in range(20)])
        low, high = field.items.bounds
        assert low is not None
        assert high is not None
        assert np.float32(low) <= drawn.min()
        assert drawn.max() <= np.float32(high)

    @pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
    def test_a_png_of_pillow_is_what_numpy_has(self, shape: tuple[int, ...]) -> None:
        pixels = noise(*shape)
        text = png_of(pixels[:, :, 0] if shape[2:] == (1,) else pixels)
        schema = schema_of(f"{BYTES}, shape: {[*shape]}, encoding: png")
        decoder = Decoder(schema)
        assert decoder.to_dict(decoder.decode(body(text))) == {"camera": pixels.tolist()}

    def test_bytes_are_those_of_numpy(self) -> None:
        array = np.random.default_rng(0).standard_normal((3, 5)).astype("<f4")
        decoder = Decoder(schema_of(f"{FLOATS}, shape: [3, 5], encoding: base64"))
        record = decoder.decode(body(base64_of(array.tobytes())))
        assert decoder.to_dict(record) == {"camera": array.tolist()}

    def test_long_texts_and_batches(self) -> None:
        pixels = noise(12, 84, 84)
        schema = schema_of(
            f"{BYTES}, shape: [12, 84, 84], encoding: base64", "  speed: {type: int}"
        )
        decoder, text = Decoder(schema), base64_of(pixels.tobytes())
        sent = body(text, speed=3)
        assert len(sent) > LONG_BYTES
        slashed = sent.replace(b"/", b"\\/")  # as PHP writes them
        assert len(slashed) > len(sent)
        expected = {"camera": pixels.tolist(), "speed": 3}
        batch = b'{"observations": [%s, %s]}' % (sent, slashed)
        records = [decoder.decode(sent), decoder.decode(slashed), *decoder.decode_batch(batch)]
        assert [decoder.to_dict(record) for record in records] == [expected] * 4
        with pytest.raises(msgspec.ValidationError, match=r"not of 84666 - at `\$.camera`"):
            decoder.decode(body(base64_of(pixels.tobytes()[:-6]), speed=3))

    def test_defaults_and_absence(self) -> None:
        text = base64_of(bytes([1, 2]))
        sent = f"{BYTES}, shape: [2], encoding: base64, required: false"
        decoder = Decoder(schema_of(f"{sent}, default: {text}"))
        assert decoder.to_dict(decoder.decode(b"{}")) == {"camera": [1, 2]}
        schema = schema_of(sent)
        assert Decoder(schema).to_dict(Decoder(schema).decode(b"{}")) == {}
        assert compile_features(schema)(Decoder(schema).decode(b"{}")) == (0.0, 0.0)
        with pytest.raises(SchemaError, match="default"):
            schema_of(f"{sent}, default: AQ==")

    def test_bounds_are_those_of_float32(self) -> None:
        schema = schema_of(
            "type: 'List[float]', minimum: 0, exclusive_minimum: true, maximum: 0.1, shape: [2], "
            "encoding: base64"
        )
        decoder = Decoder(schema)
        highest = np.array([0.1, 1e-45], "<f4")
        decoder.decode(body(base64_of(highest.tobytes())))
        for wrong, fault in (
            (np.nextafter(np.float32(0.1), np.float32(1)), "must be at most 0.1"),
            (0.0, "must be above 0"),
            (np.nan, "must be finite"),
            (-np.inf, "must be finite"),
        ):
            message = refusal(schema, base64_of(np.array([0.05, wrong], "<f4").tobytes()))
            assert message.startswith(fault)
            assert message.endswith("at [1]")


class TestRefusals:
    RAW = f"{BYTES}, shape: [5, 6], encoding: base64"

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            (base64_of(bytes(29)), "must be base64 of 30 bytes, 5 x 6 of uint8, not of 29"),
            ("", "not of 0"),
            ("====", "must be base64: A-Z"),
            (base64_of(bytes(30))[:-1], "must be base64: A-Z"),
            (base64_of(b"\xff" * 30).replace("/", "_"), "must be base64: A-Z"),
            ("größe", "must be base64: A-Z"),
            (base64.encodebytes(bytes(60)).decode(), "in one line, without line breaks"),
            ("data:image/png;base64,AAAA", "without `data:...;base64,`"),
            ([[0] * 6] * 5, "must be base64 text, not a list"),
            ({"data": ""}, "must be base64 text, not an object"),
            (None, "must be base64 text, not null"),
            (True, "must be base64 text, not true or false"),
            (1.5, "must be base64 text, not a number"),
        ],
    )
    def test_of_text(self, text: object, fault: str) -> None:
        assert fault in refusal(schema_of(self.RAW), text)

    def test_of_numbers_beyond_the_bounds(self) -> None:
        schema = schema_of(
            "type: 'List[int]', minimum: 1, maximum: 200, shape: [2, 2], encoding: base64"
        )
        message = refusal(schema, base64_of(bytes([1, 0, 200, 0])))
        assert message == "must be at least 1 throughout, not 0 at [0, 1], and 1 more"
        message = refusal(schema, base64_of(bytes([1, 2, 201, 3])))
        assert message == "must be at most 200 throughout, not 201 at [1, 0]"

    @pytest.mark.parametrize(
        ("make", "fault"),
        [
            (lambda: png_of(noise(6, 5, 3)), "it has 5 x 6 pixels"),
            (lambda: png_of(noise(5, 6)), "it is grayscale"),
            (lambda: png_of(noise(5, 6, 4)), "it is RGBA"),
            (lambda: png_of(noise(5, 6, 3), "P"), "it has a palette"),
            (lambda: png_of(noise(5, 6), "1"), "it is grayscale"),
            (lambda: png_of(noise(5, 6).astype(np.uint16)), "it is grayscale"),
            (lambda: png_of(noise(5, 6, 3), transparency=(1, 2, 3)), "it has a transparent colour"),
            (lambda: changed(bits=16), "it has 16 bits a channel"),
            (lambda: changed(interlaced=1), "it is interlaced"),
            (lambda: changed(width=60_000, height=60_000), "it has 60000 x 60000 pixels"),
            (lambda: changed(colour=9), "it is a PNG with a damaged header"),
            (lambda: base64_of(b"GIF89a" + bytes(40)), "it is no PNG"),
            (lambda: cut(20), "it is a PNG that is cut short"),
            (lambda: cut(-6), "it is a PNG that is cut short"),
            (
                lambda: base64_of(parts_of()[0] + parts_of()[0][8:]),
                "does not begin with one header",
            ),
            (lambda: with_part(b"acTL", bytes(8)), "it is an animation"),
            (lambda: base64_of(b"".join(parts_of()) + b"more"), "has 4 bytes behind the end"),
            (lambda: without_pixels(b""), "it is a damaged PNG"),
            (lambda: without_pixels(bytes(10)), "it is a damaged PNG"),
            (lambda: without_pixels(zlib.compress(bytes(20))), "it is a damaged PNG"),
            (lambda: base64_of(bytes(80_000)), "is a file of 80000 bytes"),
        ],
    )
    @pytest.mark.filterwarnings("error")
    def test_of_pictures(self, make: Callable[[], str], fault: str) -> None:
        schema = schema_of(f"{BYTES}, shape: [5, 6, 3], encoding: png")
        message = refusal(schema, make())
        assert message.startswith("must be base64 of a PNG of 6 x 5 pixels (width x height), RGB")
        assert fault in message

    @pytest.mark.filterwarnings("error")
    def test_what_lies_beside_the_pixels_is_not_looked_at(self) -> None:
        """A text that unpacks to gigabytes, a profile that is none, parts that nobody knows."""
        bomb = b"title\0\0" + zlib.compress(bytes(30_000_000))
        text = with_part(b"zTXt", bomb, b"iCCP", b"x\0\0" + bytes(9), b"eXIf", b"?", b"abCd", b"")
        decoder = Decoder(schema_of(f"{BYTES}, shape: [5, 6, 3], encoding: png"))
        record = decoder.decode(body(text))
        assert decoder.to_dict(record) == {"camera": noise(5, 6, 3).tolist()}

    def test_pixels_behind_the_last_are_not_unpacked(self) -> None:
        rows = b"".join(b"\0" + row.tobytes() for row in noise(5, 6, 3))
        bomb = zlib.compress(rows + bytes(30_000_000))
        decoder = Decoder(schema_of(f"{BYTES}, shape: [5, 6, 3], encoding: png"))
        record = decoder.decode(body(without_pixels(bomb)))
        assert decoder.to_dict(record) == {"camera": noise(5, 6, 3).tolist()}


def part(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def parts_of() -> tuple[bytes, bytes]:
    """A sound PNG of 6 x 5 pixels: signature and header, and the rest."""
    whole = base64.b64decode(png_of(noise(5, 6, 3)))
    return whole[:33], whole[33:]


def changed(
    width: int = 6, height: int = 5, bits: int = 8, colour: int = 2, interlaced: int = 0
) -> str:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    start, rest = parts_of()
    return base64_of(start[:8] + part(b"IHDR", header) + rest)


def cut(place: int) -> str:
    return base64_of(b"".join(parts_of())[:place])


def with_part(*parts: bytes) -> str:
    start, rest = parts_of()
    inserted = b"".join(map(part, parts[::2], parts[1::2]))
    return base64_of(start + inserted + rest)


def without_pixels(packed: bytes) -> str:
    return base64_of(parts_of()[0] + part(b"IDAT", packed) + part(b"IEND", b""))


def test_a_picture_as_text_costs_a_fraction_of_its_lists() -> None:
    pixels = noise(84, 84, 4)
    lists = schema_of(f"{BYTES}, shape: [84, 84, 4]")
    nested = fastest(
        lambda: Decoder(lists).decode(json.dumps({"camera": pixels.tolist()}).encode())
    )
    for encoding, share in (("base64", 0.1), ("png", 0.5)):
        schema = schema_of(f"{BYTES}, shape: [84, 84, 4], encoding: {encoding}")
        decoder = Decoder(schema)
        field = schema.fields["camera"]
        assert isinstance(field, EncodedArray)
        sent = body(field.write(pixels))
        assert fastest(functools.partial(decoder.decode, sent), 20) < share * nested


def test_observations_are_drawn_with_their_pictures() -> None:
    schema = schema_of(f"{BYTES}, shape: [5, 6, 3], encoding: png", "  speed: {type: int}\n")
    decoder = Decoder(schema)
    drawn = random_observations(schema, 5, seed=1)
    assert drawn == random_observations(schema, 5, seed=1)
    for observation in drawn:
        decoder.decode(json.dumps(observation).encode())
