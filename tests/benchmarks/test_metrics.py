"""What metrics cost is measured as the page says."""

from pathlib import Path
from statistics import median

from benchmarks.metrics import CONNECTIONS, PARTS, cost_of_a_decision, measure
from benchmarks.networks import write_network
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.timing import median_seconds
from policy_server.proving.built_model import proof_features

LARGE_HIDDEN = 256


def test_counting_a_decision_takes_a_fraction_of_running_a_small_network(tmp_path: Path) -> None:
    """Both by the processor's time, on the same machine."""
    write_network(tmp_path / "network.onnx", 64, LARGE_HIDDEN)
    engine, row = OnnxEngine(tmp_path / "network.onnx"), proof_features(64)[:1]
    assert cost_of_a_decision() * 1e-6 < median_seconds(lambda: engine.run(row))


def test_each_number_of_connections_is_measured_by_turns(tmp_path: Path) -> None:
    found = measure(tmp_path, 2)
    assert list(found) == list(CONNECTIONS)
    for shares in found.values():
        assert len(shares) == PARTS
        assert 0.5 < median(shares) < 1.5
