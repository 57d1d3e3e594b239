"""What the tests of this room share."""

from pathlib import Path

import pytest

from tests.support.onnx_writer import NetworkFile, network_writer


@pytest.fixture
def network_file(tmp_path: Path) -> NetworkFile:
    """Writes small ONNX networks."""
    folder = tmp_path / "networks"
    folder.mkdir()
    return network_writer(folder)
