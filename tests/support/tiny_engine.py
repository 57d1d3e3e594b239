"""An engine and a reader of its own format, as the recipe of CONTRIBUTING adds them."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Floats
from policy_server.policy.engines.registry import ENGINES, Loader
from policy_server.policy.families.recognition import Output
from policy_server.proving.built_model import BuiltModel, describe, proof_features, proof_outputs
from policy_server.proving.heads import stated_actions
from policy_server.proving.readers.reader import Inspection, ModelUpload, Reader
from policy_server.proving.readers.registry import READERS
from policy_server.proving.reading import read

NAME, FILE = "tiny", "network.tiny"
MARK = b"TINY\0\1"


def tiny_model(kernel: Floats) -> bytes:
    """A model's file: logits are the features times this, float32[F, W]."""
    return MARK + bytes(kernel.shape) + kernel.astype("<f4").tobytes()


class TinyEngine:
    """Multiplies by one matrix; awaited, it lets the event loop turn before it does."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes().removeprefix(MARK)
        width, outputs = content[:2]
        try:
            self._kernel = np.frombuffer(content[2:], "<f4").reshape(width, outputs)
        except ValueError as error:
            raise EngineFailed(f"{path.name} is damaged") from error

    @property
    def feature_width(self) -> int:
        """F."""
        return len(self._kernel)

    @property
    def fault(self) -> str | None:
        """Nothing ever."""
        return None

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W]."""
        return np.asarray(np.einsum("bf,fw->bw", features, self._kernel), np.float32)

    async def run_async(self, features: Floats) -> Floats:
        """As `run`."""
        await asyncio.sleep(0.01)
        return self.run(features)

    def close(self) -> None:
        """Nothing runs elsewhere."""


def _read(upload: ModelUpload) -> BuiltModel:
    shutil.copyfile(upload.file, upload.folder / FILE)
    engine = TinyEngine(upload.folder / FILE)
    rows = proof_outputs(engine, "logits", proof_features(engine.feature_width))
    output = Output("logits", False, rows)
    read_as = read(output, upload.description.reads, upload.contract.actions)
    actions = stated_actions(output, read_as)
    described = describe(NAME, engine.feature_width, output, actions, "the tiny engine runs it")
    return BuiltModel(described, engine, upload.folder)


@contextmanager
def registered() -> Iterator[None]:
    """The engine and the reader are in their registries."""
    reader = Reader(lambda head: head.startswith(MARK), _read, lambda _: Inspection("tiny"))
    ENGINES[NAME] = Loader(FILE, NAME, lambda path, *_: TinyEngine(path))
    READERS.insert(0, reader)
    try:
        yield
    finally:
        READERS.remove(reader)
        del ENGINES[NAME]
