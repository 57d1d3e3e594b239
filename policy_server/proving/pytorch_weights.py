"""Weights as `torch.save` writes them, read without PyTorch and without running their pickle."""

import io
import math
import zipfile
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from policy_server.proving.pickled_tensors import (
    PICKLE_BYTES,
    PickleMachine,
    Storage,
    Tensor,
    UnreadableWeights,
)

Array = NDArray[Any]
MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of a file from before PyTorch 1.6."""
MOST_SHARED = 4
"""How often a file may name the same numbers, on the whole: modules may share weights."""


def read_weights(content: bytes) -> dict[str, Array]:
    """The tensors of a file of `torch.save(module.state_dict())`, by their names.

    Raises:
        UnreadableWeights: It holds anything else, or contradicts itself.
    """
    try:
        tensors, numbers = _of_zip(content) if content[:2] == b"PK" else _of_pickles(content)
        if not isinstance(tensors, dict):
            raise UnreadableWeights("it holds no dictionary of weights")
        named = {name: each for name, each in tensors.items() if isinstance(each, Tensor)}
        if sum(each.bytes for each in named.values()) > MOST_SHARED * len(content):
            raise UnreadableWeights("it names the same numbers over and over")
        return {str(name): array_of(str(name), each, numbers) for name, each in named.items()}
    except UnreadableWeights:
        raise
    except Exception as error:
        # zipfile's own, and what zlib, pickletools and the machine make of damaged files.
        raise UnreadableWeights(f"it is damaged ({type(error).__name__}: {error})") from error


Numbers: TypeAlias = Callable[[Storage], bytes]


def _of_zip(content: bytes) -> tuple[Any, Numbers]:
    """As PyTorch writes since 1.6: a zip of one pickle, and of a member for each storage."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    (pickled,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    root = pickled.removesuffix("data.pkl")
    if f"{root}byteorder" in archive.namelist() and member_of(archive, f"{root}byteorder", 8) != (
        b"little"
    ):
        raise UnreadableWeights("its numbers begin with their high bytes (big endian)")
    tensors = PickleMachine(io.BytesIO(member_of(archive, pickled, PICKLE_BYTES))).run()

    def numbers(storage: Storage) -> bytes:
        return member_of(archive, f"{root}data/{storage.key}", len(content))

    return tensors, numbers


def member_of(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member of the zip, which PyTorch does not compress, so that none grows."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
        raise UnreadableWeights(f"its member {name[:100]!r} is compressed, or too large")
    return archive.read(info)


def _of_pickles(content: bytes) -> tuple[Any, Numbers]:
    """As PyTorch wrote before 1.6: five pickles, then the storages in the order of their keys."""
    file = io.BytesIO(content)
    if PickleMachine(file).run() != MAGIC:
        raise UnreadableWeights("it is no file of `torch.save`")
    _version, system = PickleMachine(file).run(), PickleMachine(file).run()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise UnreadableWeights("its numbers begin with their high bytes (big endian)")
    machine = PickleMachine(file)
    tensors, keys = machine.run(), PickleMachine(file).run()
    beside: dict[str, bytes] = {}
    for key in keys:
        storage = machine.storages[key]
        count = int.from_bytes(file.read(8), "little")
        if count != storage.count:
            raise UnreadableWeights(f"it states {storage.count} numbers and has {count}")
        beside[key] = file.read(min(count * np.dtype(storage.type).itemsize, len(content)))
    return tensors, lambda storage: beside[storage.key]


def array_of(name: str, tensor: Tensor, numbers: Numbers) -> Array:
    """The numbers of a tensor, which lie in its storage, each once."""
    storage = tensor.storage
    last = tensor.offset + sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if math.prod(tensor.shape) > storage.count or last >= storage.count:
        raise UnreadableWeights(
            f"`{name[:100]}` has the shape {list(tensor.shape)} and only {storage.count} numbers"
        )
    kept = np.frombuffer(numbers(storage), storage.type)
    if len(kept) != storage.count:
        raise UnreadableWeights(f"`{name[:100]}` has {len(kept)} of {storage.count} numbers")
    steps = [stride * kept.itemsize for stride in tensor.strides]
    # Inside the storage, as was just computed.
    return np.lib.stride_tricks.as_strided(kept[tensor.offset :], tensor.shape, steps).copy()
