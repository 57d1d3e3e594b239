"""What the tests of builds share: a candidate, built in this process or in one of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from policy_server.contract.contract import Contract
from policy_server.policy.engines.onnx import OnnxEngine
from policy_server.policy.network import Network
from policy_server.policy.policy import Policy
from policy_server.policy.preprocessor import SchemaPreprocessor
from policy_server.proving.assembly import Assembly
from policy_server.proving.build import build
from policy_server.proving.limits import BuildLimits
from policy_server.proving.report import BuildReport
from policy_server.version.parts import Part, name_by_content
from policy_server.version.version_parts import read_mapper, read_network

LIMITS = BuildLimits()


@dataclass
class Candidate:
    """Parts in a folder, as the store hands them to a build.

    Attributes:
        steps: What the last build told, in order.
    """

    folder: Path
    contract: Contract
    limits: BuildLimits = LIMITS
    parts: list[Part] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def put(self, part: Part, content: bytes | str | Path) -> "Candidate":
        """Lay a new part into the folder."""
        (self.folder / part).mkdir(parents=True)
        if isinstance(content, Path):
            content = content.read_bytes()
        content = content.encode() if isinstance(content, str) else content
        (self.folder / part / name_by_content(part, content)).write_bytes(content)
        self.parts.append(part)
        return self

    def assemble(self, *uploaded: Part) -> BuildReport:
        """Build in this process; of all parts where none are named as uploaded."""
        self.steps.clear()
        return Assembly(
            self.folder,
            self.contract,
            uploaded or self.parts,
            self.limits,
            lambda step, _: self.steps.append(step),
        ).build()

    def build(self) -> BuildReport:
        """Build in a process of its own."""
        self.steps.clear()
        return build(self.folder, self.contract, self.parts, self.limits, self.steps.append)

    @property
    def network(self) -> Network:
        """What the build wrote."""
        return read_network(self.folder, self.contract)


CandidateOf = Callable[..., Candidate]


@pytest.fixture
def candidate_of(tmp_path: Path) -> CandidateOf:
    """Makes a candidate: `candidate_of(contract, model=..., preprocessor=..., ...)`."""

    def make(
        contract: Contract, limits: BuildLimits = LIMITS, **parts: bytes | str | Path
    ) -> Candidate:
        candidate = Candidate(tmp_path / f"candidate-{len(list(tmp_path.iterdir()))}", contract)
        candidate.limits = limits
        candidate.folder.mkdir()
        for part, content in parts.items():
            candidate.put(Part(part), content)
        return candidate

    return make


def policy_of(candidate: Candidate) -> Policy:
    """The policy that a build made, whose meanings are those of the schema."""
    network, contract = candidate.network, candidate.contract
    engine = network.load_engine(candidate.folder / Part.MODEL)
    mapper = read_mapper(candidate.folder, contract)
    return Policy(contract, network, engine, SchemaPreprocessor(contract.schema), mapper)


ROWS = np.random.default_rng(3).uniform(-2, 2, (50, 3)).astype(np.float32)


def agrees(candidate: Candidate, kernel: NDArray[np.float32]) -> bool:
    """ONNX Runtime serves, and computes what NumPy makes of the weights."""
    engine = OnnxEngine(candidate.folder / "model" / "network.onnx")
    expected: NDArray[np.float64] = ROWS.astype(np.float64) @ kernel.astype(np.float64)
    return candidate.network.engine == "onnxruntime" and bool(
        np.allclose(engine.run(ROWS), expected, atol=1e-5)
    )


def detail(report: BuildReport, name: str) -> str:
    """What a report says of a check."""
    (check,) = [check for check in report.checks if check.name == name]
    return check.detail
