"""Features in which every difference between observations shows, however small."""

import json
import zlib


def preprocess(observation):
    digest = zlib.crc32(json.dumps(_floats(observation), sort_keys=True).encode())
    return [(digest >> shift & 255) / 255 for shift in (0, 8, 16, 24)]


def _floats(value):
    if isinstance(value, dict):
        return {name: _floats(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_floats(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
