"""The build process: `python -m policy_server.proving.child FD`, the job as JSON on standard input.

It runs uploaded code and parses uploaded files, so it is a process of its own, which its parent
may kill. What it has to say goes to the file descriptor FD as one JSON object a line: steps, then
the report. Standard output and error belong to the uploaded code and to TensorFlow.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from policy_server.contract.actions import ActionSpace
from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.policy.families.registry import plug_in_modules
from policy_server.proving.assembly import Assembly
from policy_server.proving.limits import BuildLimits
from policy_server.proving.report import Part
from policy_server.proving.verification import verify
from policy_server.sandbox.limits import ProcessLimits

PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Job:
    """All that a build needs to know.

    Attributes:
        folder: The candidate's folder.
        schema: Text of the observation schema.
        uploaded: The parts that are new.
        verify: Replay the golden cases of a version that is there, and build nothing.
        families: Modules that register families from outside of the package.
        parent: Process id of who wants the build; it ends with them.
    """

    folder: str
    schema: str
    actions: ActionSpace
    uploaded: list[str]
    limits: BuildLimits
    verify: bool = False
    families: list[str] = field(default_factory=plug_in_modules)
    parent: int = field(default_factory=os.getpid)

    def as_json(self) -> str:
        """The job as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The job that `as_json` gave."""
        fields = json.loads(text)
        isolation = ProcessLimits(**fields["limits"]["isolation"])
        limits = BuildLimits(**{**fields["limits"], "isolation": isolation})
        actions = ActionSpace.from_dict(fields["actions"])
        return cls(**{**fields, "actions": actions, "limits": limits})


def main(descriptor: int) -> None:
    """Do the job on standard input, tell the parent over `descriptor`."""
    job = Job.from_json(sys.stdin.read())
    die_with(job.parent)

    def say(message: dict[str, Any]) -> None:
        os.write(descriptor, json.dumps(message).encode() + b"\n")

    def step(what: str, seconds: float) -> None:
        say({"step": what, "seconds": seconds})

    for module in job.families:
        importlib.import_module(module)
    contract = Contract(read_schema(job.schema), job.actions)
    folder = Path(job.folder)
    try:
        if job.verify:
            report = verify(folder, contract, job.limits, step)
        else:
            uploaded = [Part(part) for part in job.uploaded]
            report = Assembly(folder, contract, uploaded, job.limits, step).build()
    except OSError as error:  # of the disk; it says of all else what it is
        say({"unstored": error.strerror})
    else:
        say({"report": report.as_dict()})


def die_with(parent: int) -> None:
    """End when the parent ends, however it does: nobody would take what is built."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was sooner
        sys.exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
