"""Networks in runs of few numbers of rows, with the processor in place of a device."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from policy_server.errors import EngineFailed
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.engines.servers import CUDA_PROVIDER
from policy_server.policy.onnx_device import DeviceNetwork, pieces
from policy_server.policy.onnx_session import PROCESSOR, device_lack
from tests.support.networks import linear_kernel, linear_onnx

ROWS = (1, 2, 7, 8, 9, 63, 64, 65, 130)


@pytest.mark.parametrize("rows", [0, *ROWS])
def test_pieces_are_all_rows_once_and_none_is_larger_than_it_must_be(rows: int) -> None:
    found = list(pieces(rows, (1, 8, 64)))
    covered = [row for start, count, _ in found for row in range(start, start + count)]
    assert covered == list(range(rows))
    assert all(count <= size for _, count, size in found)
    assert all(count == 64 for _, count, _ in found[:-1])
    assert all(size in (1, 8, 64) and (size == 1 or count > size // 8) for _, count, size in found)


def test_any_number_of_rows_gives_what_it_gives_in_one_run(tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(linear_onnx(3, 4))
    network = DeviceNetwork(path, PROCESSOR, 4)
    assert (network.feature_width, network.output_width) == (3, 4)
    features = np.random.default_rng(0).standard_normal((130, 3)).astype(np.float32)
    for rows in ROWS:
        found = network.run(features[:rows])
        network.run(features[::-1][:rows])  # what was given stays as it is
        np.testing.assert_allclose(found, features[:rows] @ linear_kernel(3, 4), atol=1e-5)


def images(batch: str | int, channels: str | int = 3) -> bytes:
    """A network that takes images of 2 x 2 numbers in 64 bits, and gives [B, 1, 4]."""
    shape = numpy_helper.from_array(np.array([-1, 1, 12]), "shape")
    kernel = numpy_helper.from_array(linear_kernel(12, 4).astype(np.float64), "kernel")
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["image", "shape"], ["flat"]),
            helper.make_node("MatMul", ["flat", "kernel"], ["logits"]),
        ],
        "policy",
        [helper.make_tensor_value_info("image", TensorProto.DOUBLE, [batch, channels, 2, 2])],
        [helper.make_tensor_value_info("logits", TensorProto.DOUBLE, [batch, 1, 4])],
        [shape, kernel],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    content: bytes = model.SerializeToString()
    return content


@pytest.mark.parametrize("batch", ["batch", 1])
def test_images_of_other_numbers_are_run_as_the_processor_runs_them(
    tmp_path: Path, batch: str | int
) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(images(batch))
    features = np.random.default_rng(0).standard_normal((9, 12)).astype(np.float32)
    found = DeviceNetwork(path, PROCESSOR, 4).run(features)
    np.testing.assert_allclose(found, OnnxEngine(path).run(features), atol=1e-6)
    np.testing.assert_allclose(found, features @ linear_kernel(12, 4), atol=1e-5)


def test_what_leaves_its_sizes_open_is_none_for_a_device(tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(images("batch", "channels"))
    with pytest.raises(EngineFailed, match="leaves open how much it takes"):
        DeviceNetwork(path, PROCESSOR, 4)
    path.write_bytes(images("batch"))
    with pytest.raises(EngineFailed, match=r"'batch', 1, 4\], and 5 numbers"):
        DeviceNetwork(path, PROCESSOR, 5)


def test_features_of_another_width_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(linear_onnx(3, 4))
    with pytest.raises(EngineFailed, match="failed on the device"):
        DeviceNetwork(path, PROCESSOR, 4).run(np.zeros((2, 4), np.float32))


def test_an_onnx_runtime_without_cuda_is_told_apart() -> None:
    assert device_lack(PROCESSOR) is None
    assert "requirements-gpu.txt" in str(device_lack(CUDA_PROVIDER))
