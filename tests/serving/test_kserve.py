"""Both wires against KServe's own server, whose makers are neither ours nor Triton's."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from policy_server.errors import UploadRejected
from policy_server.policy.engines.registry import TENSORFLOW_SERVING, load_engine
from policy_server.policy.engines.served_model import Widths
from policy_server.policy.engines.servers import EngineServers
from policy_server.proving.limits import BuildLimits
from policy_server.serving.bundle import Bundle
from policy_server.serving.publication import Publisher
from policy_server.store.registry import open_store
from policy_server.version.parts import Part
from tests.serving.conftest import CONTRACT
from tests.support.contracts import kept_contracts
from tests.support.counterparts import Counterpart
from tests.support.kserve import NAME, kserve
from tests.support.networks import linear_kernel

KERNEL = linear_kernel(3, 4)
X = np.random.default_rng(2).uniform(-2, 2, (70, 3)).astype(np.float32)
REFERENCE = f"inference_server: shop\nmodel: {NAME}\n"
TENSORS = """input: {name: x, datatype: FP32, shape: [-1, 3]}
output: {name: logits, datatype: FP32, shape: [-1, 4]}
"""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    with kserve(tmp_path_factory.mktemp("kserve"), KERNEL) as started:
        yield started


class Served:
    """A folder that a server serves under a name of its own."""

    name = NAME

    def __init__(self, url: str) -> None:
        self._url = url

    def serve(self, folder: Path) -> "Served":
        return self

    def url(self) -> str:
        return self._url

    def close(self) -> None:
        """Nothing was asked for."""


def test_rows_of_tensorflow_serving(there: Counterpart, tmp_path: Path) -> None:
    folder = tmp_path / TENSORFLOW_SERVING
    folder.mkdir()
    Widths(3, 4).write(folder)
    servers = EngineServers(10.0, tensorflow=Served(there.url))
    engine = load_engine(TENSORFLOW_SERVING, tmp_path, "", servers)
    for rows in (X, X[:1]):
        np.testing.assert_allclose(engine.run(rows), rows @ KERNEL, atol=1e-5)
    engine.close()  # type: ignore[attr-defined]


def test_tensors_of_the_open_inference_protocol(there: Counterpart, tmp_path: Path) -> None:
    """Its server says nothing of its model, so the file does."""
    store = open_store(tmp_path / "base")
    servers = EngineServers(10.0, inference={"shop": there.url})
    contracts = kept_contracts(CONTRACT, tmp_path / "base")
    publisher = Publisher(store, contracts, BuildLimits(), servers=servers)

    def publish(text: str) -> str:
        return publisher.publish(Bundle({Part.MODEL: io.BytesIO(text.encode())})).version

    with pytest.raises(UploadRejected, match="write `input: "):
        publish(REFERENCE)
    name = publish(REFERENCE + TENSORS)
    engine = load_engine("open_inference", store.folder(name) / Part.MODEL, "logits", servers)
    np.testing.assert_allclose(engine.run(X), X @ KERNEL, atol=1e-5)
    engine.close()  # type: ignore[attr-defined]
