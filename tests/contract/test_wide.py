"""Images as nested arrays: drawn, decoded and flattened in time that does not run away."""

import json
import time
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from policy_server.contract.decoding import Decoder, compile_features
from policy_server.contract.reading import read_schema
from policy_server.contract.samples import random_observations
from policy_server.contract.schema import ObservationSchema

SHAPES = [(84, 84, 4), (12, 84, 84)]


def image_schema(shape: tuple[int, ...], required: bool = True) -> ObservationSchema:
    field = "{type: integer, minimum: 0, maximum: 255}"
    for size in reversed(shape):
        field = f"{{type: array, minItems: {size}, maxItems: {size}, items: {field}}}"
    needed = "required: [image], " if required else ""
    return read_schema(f"Observation: {{type: object, {needed}properties: {{image: {field}}}}}")


def fastest(call: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of the fastest of some calls."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_image_is_drawn_at_about_the_cost_of_its_lists(shape: tuple[int, ...]) -> None:
    schema, rng = image_schema(shape), np.random.default_rng(0)
    baseline = fastest(lambda: rng.integers(0, 256, shape).tolist())
    drawing = fastest(lambda: random_observations(schema, 1, seed=0))
    assert drawing < 15 * baseline  # number by number it takes some 400 times as long


def test_features_of_an_image_are_compiled_like_those_of_a_number() -> None:
    wide, narrow = image_schema(SHAPES[1]), image_schema((1, 1, 1))
    baseline = fastest(lambda: compile_features(narrow))
    assert fastest(lambda: compile_features(wide)) < 20 * baseline


@pytest.mark.parametrize("shape", [*SHAPES, (2, 3), (5,), (1, 1, 1, 1)])
def test_an_image_is_what_was_sent(shape: tuple[int, ...]) -> None:
    schema = image_schema(shape)
    decoder, flatten = Decoder(schema), compile_features(schema)
    for observation in random_observations(schema, 3, seed=1):
        image = np.array(observation["image"])
        assert image.shape == shape
        assert image.min() >= 0
        assert image.max() <= 255
        features = flatten(decoder.decode(json.dumps(observation).encode()))
        np.testing.assert_array_equal(features, image.ravel())


def test_an_image_that_was_not_sent_is_black() -> None:
    schema = image_schema((2, 3), required=False)
    assert compile_features(schema)(Decoder(schema).decode(b"{}")) == (0.0,) * 6


def test_an_image_of_another_size_is_refused() -> None:
    schema = image_schema((84, 84, 4))
    image = np.zeros((84, 84, 3), int).tolist()
    with pytest.raises(msgspec.ValidationError):
        Decoder(schema).decode(json.dumps({"image": image}).encode())
