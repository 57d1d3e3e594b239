"""Where streams of bytes are sent: a policy of `warmth`, and the credentials that it knows."""

from pathlib import Path

from tests.support.networks import linear_onnx
from tests.support.server import KEY, PASSWORD, USER, environment, publish

SCHEMA = "observations:\n  warmth: {type: float, minimum: -50, maximum: 50}\n"


def ground(folder: Path) -> Path:
    """Publish the policy in a folder; returns its BASE_PATH."""
    (folder / "schema.yaml").write_text(SCHEMA)
    (folder / "policy.onnx").write_bytes(linear_onnx(1, 2))
    return publish(folder, folder / "instance")


def settings(base_path: Path) -> dict[str, str]:
    """The environment of differential.py."""
    return environment(
        base_path,
        POLICY_SERVER_USER=USER,
        POLICY_SERVER_PASSWORD=PASSWORD,
        POLICY_SERVER_API_KEYS=KEY,
        POLICY_SERVER_DRAIN_SECONDS="0",
    )
