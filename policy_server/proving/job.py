"""What a build is to do, as its process is told.

Apart from what does it: who starts a build, a worker or a command, loads none of that.
"""

import json
from dataclasses import asdict, dataclass, field

from policy_server.contract.actions import ActionSettings
from policy_server.policy.families.registry import plug_in_modules
from policy_server.proving.limits import BuildLimits
from policy_server.sandbox.limits import ProcessLimits

UNDESCRIBED = "observations:\n  x: {type: float}\n"
"""Stands for a schema that is still to be written."""


@dataclass(frozen=True)
class Job:
    """All that a build needs to know.

    Attributes:
        folder: The candidate's folder.
        schema: Text of the observation schema.
        actions: What settings say of actions.
        uploaded: The parts that are new.
        verify: Replay the golden cases of a version that is there, and build nothing.
        describe: Say what the model is, and build nothing.
        families: Modules that register families from outside of the package.
    """

    folder: str
    schema: str
    actions: ActionSettings
    uploaded: list[str]
    limits: BuildLimits
    verify: bool = False
    describe: bool = False
    families: list[str] = field(default_factory=plug_in_modules)

    def as_json(self) -> bytes:
        """The job as one message."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "Job":
        """The job that `as_json` gave."""
        fields = json.loads(text)
        isolation = ProcessLimits(**fields["limits"]["isolation"])
        limits = BuildLimits(**{**fields["limits"], "isolation": isolation})
        actions = ActionSettings(**fields["actions"])
        return cls(**{**fields, "actions": actions, "limits": limits})
