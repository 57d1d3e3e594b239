"""What is known of a network: the description that a version's engine is loaded from."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Engine
from policy_server.policy.engines.registry import load_engine
from policy_server.policy.families.family import Family
from policy_server.policy.families.registry import FAMILIES
from policy_server.policy.timing import Timing


@dataclass(frozen=True)
class Network:
    """What the build found out about a model; kept beside it.

    Attributes:
        engine: Name of what runs it.
        feature_width: F, the numbers that it takes.
        family: Of the distributions that its output stands for.
        sizes: Actions of each head, or dimensions of each component.
        timing: How long its parts take.
        output: Name of the model's output that is served.
    """

    engine: str
    feature_width: int
    family: str
    sizes: tuple[int, ...]
    timing: Timing = field(default_factory=Timing)
    output: str = ""

    @property
    def distribution(self) -> Family:
        """The family of distributions that the network's output selects from.

        Raises:
            EngineFailed: It came from outside of the package, and is not registered here.
        """
        registered = FAMILIES.get(self.family)
        if registered is None:
            raise EngineFailed(
                f"its decisions follow a family called `{self.family}`, which is not known here: "
                "import the module that registers it before the server starts"
            )
        return registered(self.sizes)

    def load_engine(self, folder: Path) -> Engine:
        """Load what runs it.

        Args:
            folder: The model's.

        Raises:
            EngineFailed: What runs it is not installed, or the file is damaged.
        """
        return load_engine(self.engine, folder, self.output)

    def write(self, folder: Path) -> None:
        """Keep the description in a model folder."""
        (folder / "network.json").write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Network":
        """Read the description of a model folder."""
        fields = json.loads((folder / "network.json").read_text(encoding="utf-8"))
        timing = Timing(tuple(fields["timing"]["runs"]), fields["timing"]["preprocessor_seconds"])
        return cls(**{**fields, "sizes": tuple(fields["sizes"]), "timing": timing})
