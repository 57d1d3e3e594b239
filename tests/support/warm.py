"""A tiny policy of one field, `warmth`: published in seconds, for tests of what surrounds it."""

from pathlib import Path

from tests.support.server import publish

SCHEMA = "observations:\n  warmth: {type: float, minimum: -50, maximum: 50}\n"
OBSERVATION = b'{"warmth": 20.00}'


def publish_warm(folder: Path) -> Path:
    """A BASE_PATH below a folder in which it decides."""
    from tests.support.networks import linear_onnx  # which imports onnx: not in every process

    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(linear_onnx(1, 2))
    return publish(folder, folder / "instance")
