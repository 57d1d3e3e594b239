"""The network of a version: its distribution, and its engine."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from policy_server.contract.actions import Kind
from policy_server.errors import EngineFailed
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.families.categorical import Categorical
from policy_server.policy.families.deterministic import Deterministic
from policy_server.policy.families.gaussian import DiagonalGaussian
from policy_server.policy.families.greedy import Greedy
from policy_server.policy.network import Network
from tests.support.onnx_writer import NetworkFile


@pytest.mark.parametrize(
    ("family", "sizes", "kind", "width", "discrete"),
    [
        ("categorical", (2, 3), Categorical, 5, True),
        ("greedy", (4,), Greedy, 4, True),
        ("gaussian", (2, 1), DiagonalGaussian, 6, False),
        ("deterministic", (3,), Deterministic, 3, False),
    ],
)
def test_a_network_has_the_distribution_of_its_family_and_sizes(
    family: str, sizes: tuple[int, ...], kind: type, width: int, discrete: bool
) -> None:
    network = Network("tensorflow", 7, family, sizes, output="logits")
    assert isinstance(network.distribution, kind)
    assert network.distribution.input_width == width
    assert network.distribution.kind is (Kind.NUMBERED if discrete else Kind.REAL)


def test_onnx_is_loaded_from_the_folder(network_file: NetworkFile) -> None:
    path = network_file([helper.make_node("Identity", ["input"], ["output"])], ["batch", 2])
    path.rename(path.parent / "network.onnx")
    engine = Network("onnxruntime", 2, "greedy", (2,)).load_engine(path.parent)
    assert isinstance(engine, OnnxEngine)
    rows = np.array([[1, 2]], dtype=np.float32)
    np.testing.assert_array_equal(engine.run(rows), rows)


def test_a_folder_without_its_file_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed):
        Network("onnxruntime", 2, "greedy", (2,)).load_engine(tmp_path)
