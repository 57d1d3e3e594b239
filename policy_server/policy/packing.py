"""Features of records as bytes: numbers by `struct`, arrays as they lie in memory."""

import struct
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import attrgetter

import numpy as np
from msgspec import UNSET

from policy_server.contract.decoding import FeatureSource, compile_features
from policy_server.contract.records import Record
from policy_server.contract.schema import ObservationSchema

Pack = Callable[[Record], bytes]


def compile_packing(
    schema: ObservationSchema, sources: Iterable[tuple[str, FeatureSource]], code: str
) -> Pack:
    """Compile what packs the features of a record; as `compile_features`, into bytes.

    Args:
        schema: Of the records.
        sources: Names of fields, in the order of the features, each with what makes its features.
        code: Of a number: `f` or `d`. All are little-endian.
    """
    parts: list[Pack] = []
    for arrays, group in groupby(sources, lambda each: each[1].is_array):
        members = [*group]
        if arrays:
            parts += [_array(schema, name, source, code) for name, source in members]
        else:
            parts.append(_numbers(schema, members, code))
    if len(parts) == 1:
        return parts[0]
    return lambda record: b"".join([part(record) for part in parts])


def _numbers(
    schema: ObservationSchema, members: list[tuple[str, FeatureSource]], code: str
) -> Pack:
    flatten = compile_features(schema, members)
    width = sum(source.feature_width or 0 for _, source in members)
    # Little endian by name: packing as the machine does it lets numbers overflow unseen.
    pack = struct.Struct(f"<{width}{code}").pack
    return lambda record: pack(*flatten(record))


def _array(schema: ObservationSchema, name: str, source: FeatureSource, code: str) -> Pack:
    value_of = attrgetter(f"f{[*schema.fields].index(name)}")
    dtype = np.dtype(code).newbyteorder("<")
    absent = bytes((source.feature_width or 0) * dtype.itemsize)

    def pack(record: Record) -> bytes:
        value = value_of(record)
        packed: bytes = absent if value is UNSET else value.array.astype(dtype).tobytes()
        return packed

    return pack
