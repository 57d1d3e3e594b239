"""What runs a network, and the description from which a version's engine is loaded."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from policy_server.policy.families.family import Numbered, Real
from policy_server.policy.families.registry import FAMILIES, FamilyName
from policy_server.policy.timing import Timing

EngineName = Literal["onnxruntime", "tensorflow"]
Floats = NDArray[np.float32]


class Engine(Protocol):
    """Runs a network: features to distribution inputs."""

    def run(self, features: Floats) -> Floats:
        """Turn float32[B, F] into float32[B, W].

        Raises:
            EngineFailed: The network could not be run.
        """


@dataclass(frozen=True)
class Network:
    """What the build found out about a model; kept beside it.

    Attributes:
        engine: What runs it.
        feature_width: F, the numbers that it takes.
        family: Of the distributions that its output stands for.
        sizes: Actions of each head, or dimensions of each component.
        timing: How long its parts take.
        output: Name of the model's output that is served.
    """

    engine: EngineName
    feature_width: int
    family: FamilyName
    sizes: tuple[int, ...]
    timing: Timing = field(default_factory=Timing)
    output: str = ""

    @property
    def distribution(self) -> Numbered | Real:
        """The family of distributions that the network's output selects from."""
        return FAMILIES[self.family](self.sizes)

    @property
    def discrete(self) -> bool:
        """Actions are numbered."""
        return self.distribution.numbered

    def write(self, folder: Path) -> None:
        """Keep the description in a model folder."""
        (folder / "network.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Network":
        """Read the description of a model folder."""
        fields = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        timing = Timing(tuple(fields["timing"]["runs"]), fields["timing"]["preprocessor_seconds"])
        return cls(**{**fields, "sizes": tuple(fields["sizes"]), "timing": timing})


def load_engine(network: Network, folder: Path) -> Engine:
    """Load the engine of a model folder.

    Raises:
        EngineFailed: What runs it is not installed, or the file is damaged.
    """
    if network.engine == "onnxruntime":
        from policy_server.policy.onnx_engine import OnnxEngine

        return OnnxEngine(folder / "network.onnx")
    from policy_server.policy.tensorflow_engine import TensorFlowEngine

    return TensorFlowEngine(folder / "saved_model", network.output)
