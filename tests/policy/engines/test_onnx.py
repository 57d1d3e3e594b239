"""ONNX Runtime as an engine, on networks made here."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from policy_server.errors import EngineFailed
from policy_server.policy.engines.onnx import OnnxEngine
from tests.support.networks import linear_onnx
from tests.support.onnx_writer import NetworkFile

WEIGHTS = np.array([[1, 2], [3, 4], [5, 6]], dtype=np.float32)
FEATURES = np.array([[1, 0, 2], [0, 1, 3], [4, 5, 6]], dtype=np.float32)
PRODUCT = np.array([[11, 14], [18, 22], [49, 64]], dtype=np.float32)  # by hand


def multiply() -> list[object]:
    return [helper.make_node("MatMul", ["input", "weights"], ["output"])]


class TestRun:
    @pytest.mark.parametrize("batch", ["batch", 1])
    def test_an_open_and_a_fixed_batch_give_the_same(
        self, batch: int | str, network_file: NetworkFile
    ) -> None:
        engine = OnnxEngine(network_file(multiply(), [batch, 3], weights=WEIGHTS))
        assert engine.feature_width == 3
        for rows in (1, 2, 3):
            found = engine.run(FEATURES[:rows])
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, PRODUCT[:rows])

    def test_threads_that_run_one_row_at_once_get_their_own(
        self, network_file: NetworkFile
    ) -> None:
        wide = np.random.default_rng(1).normal(size=(300, 3)).astype(np.float32)
        engine = OnnxEngine(network_file(multiply(), ["batch", 3], weights=WEIGHTS))
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda row: engine.run(wide[row : row + 1]), range(len(wide))))
        np.testing.assert_allclose(np.concatenate(found), wide @ WEIGHTS, rtol=1e-5, atol=1e-5)

    def test_a_network_that_mixes_rows_proves_that_they_are_run_one_by_one(
        self, network_file: NetworkFile
    ) -> None:
        nodes = [helper.make_node("ReduceSum", ["input", "axis"], ["output"], keepdims=1)]
        engine = OnnxEngine(network_file(nodes, [1, 3], axis=np.array([0])))
        np.testing.assert_array_equal(engine.run(FEATURES), FEATURES)

    @pytest.mark.parametrize(
        ("onnx_type", "numpy_type"),
        [
            (TensorProto.DOUBLE, np.float64),
            (TensorProto.FLOAT16, np.float16),
            (TensorProto.INT64, np.int64),
            (TensorProto.INT32, np.int32),
        ],
    )
    @pytest.mark.parametrize("batch", ["batch", 1])
    def test_features_take_the_type_that_the_network_wants(
        self, onnx_type: int, numpy_type: type, batch: int | str, network_file: NetworkFile
    ) -> None:
        path = network_file(
            multiply(), [batch, 3], onnx_type, onnx_type, weights=WEIGHTS.astype(numpy_type)
        )
        found = OnnxEngine(path).run(FEATURES)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, PRODUCT)

    def test_images_of_bytes_are_given_their_shape(self, network_file: NetworkFile) -> None:
        nodes = [
            helper.make_node("Cast", ["input"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["floats", "axes"], ["output"], keepdims=0),
        ]
        path = network_file(nodes, ["batch", 2, 3, 1], TensorProto.UINT8, axes=np.array([2, 3]))
        engine = OnnxEngine(path)
        assert engine.feature_width == 6
        features = np.array([[1, 2, 3, 4, 5, 255], [0, 0, 1, 0, 0, 0]], dtype=np.float32)
        np.testing.assert_array_equal(engine.run(features), [[6, 264], [1, 0]])

    def test_an_output_of_more_axes_is_flattened(self, network_file: NetworkFile) -> None:
        nodes = [helper.make_node("Reshape", ["input", "shape"], ["output"])]
        engine = OnnxEngine(network_file(nodes, ["batch", 4], shape=np.array([-1, 2, 2])))
        rows = np.arange(8, dtype=np.float32).reshape(2, 4)
        np.testing.assert_array_equal(engine.run(rows), rows)

    def test_the_features_are_not_changed(self, network_file: NetworkFile) -> None:
        engine = OnnxEngine(network_file(multiply(), ["batch", 3], weights=WEIGHTS))
        features = FEATURES.copy()
        engine.run(features)
        np.testing.assert_array_equal(features, FEATURES)

    def test_an_open_width_is_told(self, network_file: NetworkFile) -> None:
        nodes = [helper.make_node("Identity", ["input"], ["output"])]
        assert OnnxEngine(network_file(nodes, ["batch", "width"])).feature_width == -1


class TestFailures:
    @pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\x08\x12\x00", None])
    def test_a_damaged_file_does_not_load(self, content: bytes | None, tmp_path: Path) -> None:
        path = tmp_path / "network.onnx"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(EngineFailed, match=r"network\.onnx"):
            OnnxEngine(path)

    def test_half_a_file_does_not_load(self, tmp_path: Path) -> None:
        whole = linear_onnx(64, 64)
        path = tmp_path / "network.onnx"
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(EngineFailed, match="cannot load"):
            OnnxEngine(path)

    def test_a_network_of_one_number_does_not_load(self, network_file: NetworkFile) -> None:
        nodes = [helper.make_node("Identity", ["input"], ["output"])]
        with pytest.raises(EngineFailed, match="no input of observations with a batch axis"):
            OnnxEngine(network_file(nodes, []))

    @pytest.mark.parametrize("shape", [["batch", 3], [1, 3], ["batch", 3, 1], [4, 3]])
    def test_features_of_another_width_fail(
        self, shape: list[int | str], network_file: NetworkFile
    ) -> None:
        nodes = [helper.make_node("Identity", ["input"], ["output"])]
        engine = OnnxEngine(network_file(nodes, shape))
        for rows, width in ((2, 5), (1, 5), (1, 1)):
            with pytest.raises(EngineFailed, match="ONNX Runtime failed"):
                engine.run(np.zeros((rows, width), dtype=np.float32))

    def test_an_output_that_does_not_belong_to_rows_fails(self, network_file: NetworkFile) -> None:
        nodes = [helper.make_node("Constant", [], ["output"], value_floats=[1.0, 2.0, 3.0])]
        engine = OnnxEngine(network_file(nodes, ["batch", 3]))
        with pytest.raises(EngineFailed, match="ONNX Runtime failed"):
            engine.run(np.zeros((2, 3), dtype=np.float32))
