"""Weights are read without their pickle being run: what it would do is named, and not done."""

import io
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from policy_server.proving.pickled_tensors import UnreadableWeights
from policy_server.proving.pytorch_weights import read_weights

FILES = Path(__file__).parents[1] / "files" / "stable_baselines3"
STORAGES = {"f4": "FloatStorage", "f8": "DoubleStorage", "i8": "LongStorage", "f2": "HalfStorage"}


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def text(words: str) -> bytes:
    content = words.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def whole(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(whole, values)) + b"t"


def storage(key: str, kind: str, count: int) -> bytes:
    parts = [text("storage"), named("torch", kind), text(key), text("cpu"), whole(count)]
    return b"(" + b"".join(parts) + b"tQ"


def tensor(
    key: str,
    kind: str,
    count: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    start: int = 0,
) -> bytes:
    arguments = [storage(key, kind, count), whole(start), numbers(shape), numbers(strides)]
    hooks = b"\x89" + named("collections", "OrderedDict") + b")R"
    return named("torch._utils", "_rebuild_tensor_v2") + b"(" + b"".join(arguments) + hooks + b"tR"


def dictionary(items: dict[str, bytes]) -> bytes:
    pairs = b"".join(text(name) + value for name, value in items.items())
    return b"\x80\x02" + named("collections", "OrderedDict") + b")R(" + pairs + b"u."


def saved(pickled: bytes, method: int = zipfile.ZIP_STORED, **storages: bytes) -> bytes:
    """A file as `torch.save` lays it out."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for key, content in storages.items():
            archive.writestr(f"archive/data/{key}", content)
    return packed.getvalue()


def legacy(pickled: bytes, keys: list[str], storages: bytes) -> bytes:
    """A file as `torch.save` laid it out before 1.6."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    beginning = [0x1950A86A20F9469CFC6C, 1001, system]
    return (
        b"".join(pickle.dumps(each, 2) for each in beginning)
        + pickled
        + (pickle.dumps(keys, 2) + storages)
    )


SIX = np.arange(6, dtype="<f4")


def test_tensors_are_read_whatever_their_strides() -> None:
    items = {
        "plain": tensor("a", "FloatStorage", 6, (2, 3), (3, 1)),
        "turned": tensor("a", "FloatStorage", 6, (3, 2), (1, 3)),
        "part": tensor("a", "FloatStorage", 6, (2,), (2,), start=1),
        "single": tensor("a", "FloatStorage", 6, (), (), start=5),
    }
    found = read_weights(saved(dictionary(items), a=SIX.tobytes()))
    right = {"plain": SIX.reshape(2, 3), "turned": SIX.reshape(2, 3).T, "part": SIX[1::2][:2]}
    assert list(found) == list(items)
    for name, array in {**right, "single": SIX[5]}.items():
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("kind", STORAGES)
def test_numbers_are_of_the_type_that_is_named(kind: str) -> None:
    array = np.array([1, -2, 3], f"<{kind}")
    items = {"x": tensor("a", STORAGES[kind], 3, (3,), (1,))}
    (found,) = read_weights(saved(dictionary(items), a=array.tobytes())).values()
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_files_from_before_pytorch_1_6_are_read() -> None:
    items = {
        "second": tensor("b", "FloatStorage", 6, (6,), (1,)),
        "first": tensor("a", "DoubleStorage", 1, (1,), (1,)),
    }
    content = struct.pack("<qd", 1, 0.5) + struct.pack("<q", 6) + SIX.tobytes()
    found = read_weights(legacy(dictionary(items), ["a", "b"], content))
    np.testing.assert_array_equal(found["second"], SIX)
    np.testing.assert_array_equal(found["first"], [0.5])


class Calls:
    """Pickled, a call of a function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call


@pytest.mark.parametrize("protocol", range(5))
@pytest.mark.parametrize("function", [os.system, eval, os.mkdir, __import__])
def test_no_call_of_a_pickle_is_made(
    tmp_path: Path, protocol: int, function: Callable[..., object]
) -> None:
    mark = tmp_path / "called"
    argument = {os.system: f"touch {mark}", os.mkdir: str(mark), __import__: "antigravity"}
    code = argument.get(function, f"open({str(mark)!r}, 'w')")
    hostile = pickle.dumps({"weight": Calls(function, code)}, protocol)
    for content in (saved(hostile), legacy(hostile, [], b"")):
        with pytest.raises(UnreadableWeights, match=r"its pickle (asks for|takes the step)"):
            read_weights(content)
    assert not mark.exists()


def test_what_weights_never_need_is_named() -> None:
    with pytest.raises(UnreadableWeights, match=r"`builtins.eval`"):
        read_weights(saved(b"\x80\x02" + named("builtins", "eval") + text("1") + b"\x85R."))
    with pytest.raises(UnreadableWeights, match="step NEWOBJ"):
        read_weights(saved(b"\x80\x02" + named("collections", "OrderedDict") + b")\x81."))


@pytest.mark.parametrize(
    "content",
    [
        # A terabyte of one number, and shapes that overflow.
        saved(dictionary({"x": tensor("a", "FloatStorage", 6, (2**30, 256), (0, 0))}), a=b"0" * 24),
        saved(dictionary({"x": tensor("a", "FloatStorage", 6, (7,), (1,))}), a=b"0" * 24),
        saved(dictionary({"x": tensor("a", "FloatStorage", 6, (2,), (9,))}), a=b"0" * 24),
        saved(dictionary({"x": tensor("a", "FloatStorage", 6, (6,), (1,), 1)}), a=b"0" * 24),
        saved(dictionary({"x": tensor("a", "FloatStorage", 6, (-6,), (1,))}), a=b"0" * 24),
        saved(dictionary({"x": tensor("a", "FloatStorage", 2**30, (1,), (1,))}), a=b"0" * 24),
        saved(dictionary({"x": tensor("a", "FloatStorage", 6, (6,), (1,))}), a=b"0" * 20),
        saved(dictionary({"x": tensor("../../x", "FloatStorage", 6, (6,), (1,))}), a=b"0" * 24),
        saved(
            dictionary({"x": tensor("a", "FloatStorage", 2**20, (2**20,), (1,))}),
            zipfile.ZIP_DEFLATED,
            a=bytes(2**22),
        ),
        saved(
            dictionary(
                {f"x{n}": tensor("a", "FloatStorage", 10**5, (10**5,), (1,)) for n in range(50)}
            ),
            a=bytes(4 * 10**5),
        ),
        saved(b"\x80\x02((((t."),
        saved(b"\x80\x02."),
        saved(b"\x80\x02h\x07."),
        saved(b"\x80\x02]}u."),
        saved(b""),
        b"PK\x03\x04",
        b"",
        pickle.dumps(OrderedDict()),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableWeights):
        read_weights(content)


def test_a_pickle_within_limits_is_read_and_no_larger_one() -> None:
    long = b"\x80\x02" + b"K\x01" * 2_000_001 + b"."
    with pytest.raises(UnreadableWeights, match=r"bytes|too large"):
        read_weights(saved(long))
    with pytest.raises(UnreadableWeights, match="bytes"):
        read_weights(legacy(long, [], b""))


def real_pickle() -> bytes:
    with zipfile.ZipFile(FILES / "ppo_discrete.zip") as outer:
        inner = zipfile.ZipFile(io.BytesIO(outer.read("policy.pth")))
        (name,) = [each for each in inner.namelist() if each.endswith("data.pkl")]
        return inner.read(name)


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 2000), value=st.integers(0, 255))
def test_a_changed_pickle_is_read_or_refused_and_nothing_else(place: int, value: int) -> None:
    pickled = bytearray(real_pickle())
    pickled[place % len(pickled)] = value
    try:
        found: dict[str, NDArray[Any]] = read_weights(saved(bytes(pickled)))
    except UnreadableWeights:
        return
    assert all(isinstance(array, np.ndarray) for array in found.values())
