"""The network of a version: what runs it, what it takes, and what its output stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from policy_server.errors import EngineFailed
from policy_server.policy.engines.engine import Engine
from policy_server.policy.engines.registry import ENGINES, load_engine
from policy_server.policy.engines.servers import NO_SERVERS, EngineServers
from policy_server.policy.families.family import Family
from policy_server.policy.families.registry import FAMILIES
from policy_server.policy.memory import Memory
from policy_server.policy.timing import Timing


@dataclass(frozen=True)
class Network:
    """The network of a version.

    Attributes:
        engine: Name of what runs it.
        feature_width: F, the numbers that it takes.
        family: Of the distributions that its output stands for.
        sizes: Actions of each head, or dimensions of each component.
        timing: How long its parts take.
        output: Name of the model's output that is served.
        action_range: Which of its numbers stand for the bounds of declared actions; None where the
            family knows, or where they are in units of their own.
        parameters: Numbers that the family takes beside, by their names.
        memory: What it carries from step to step, after the features and after the distribution
            inputs; None where each decision is by itself.
    """

    engine: str
    feature_width: int
    family: str
    sizes: tuple[int, ...]
    timing: Timing = field(default_factory=Timing)
    output: str = ""
    action_range: tuple[float, float] | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    memory: Memory | None = None

    @property
    def memory_width(self) -> int:
        """S, the numbers that it carries from step to step; 0 where there is no memory."""
        return 0 if self.memory is None else self.memory.width

    @property
    def input_width(self) -> int:
        """F + S, the numbers of a row that its engine takes."""
        return self.feature_width + self.memory_width

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
        return registered(self.sizes, **self.parameters)

    @property
    def own_process(self) -> bool:
        """What runs it must not run in a worker."""
        return self.engine in ENGINES and ENGINES[self.engine].own_process

    def load_engine(self, folder: Path, servers: EngineServers = NO_SERVERS) -> Engine:
        """Load what runs it.

        Args:
            folder: The model's.
            servers: That may run it.

        Raises:
            EngineFailed: What runs it is not installed, or the file is damaged.
        """
        return load_engine(self.engine, folder, self.output, servers)
