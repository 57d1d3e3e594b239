"""The build process, the module of a `ChildProcess`.

It reads uploaded files and starts the processes that run uploaded code, so it is a confined process
of its own, which its parent may kill. It runs no uploaded code itself, but judges it. The job comes
as a message in JSON; each step, and then the report, goes back as another. Standard output and
error belong to uploaded code and to TensorFlow.
"""

import errno
import importlib
import json
from pathlib import Path
from typing import Any

from policy_server.contract.actions import ActionSpace
from policy_server.contract.contract import Contract
from policy_server.contract.reading import read_schema
from policy_server.proving.assembly import Assembly
from policy_server.proving.describing import describe
from policy_server.proving.job import Job
from policy_server.proving.remote_engines import AskedEngines
from policy_server.proving.verification import verify
from policy_server.sandbox.child import confine, connect
from policy_server.version.parts import Part


def main() -> None:
    """Do the job that the parent sends, and tell the parent of each step and of what came of it."""
    connection = connect()
    first = connection.receive()
    if first is None:
        return
    job = Job.from_json(first[1])

    def say(message: dict[str, Any]) -> None:
        connection.send(json.dumps(message).encode())

    def step(what: str, seconds: float) -> None:
        say({"step": what, "seconds": seconds})

    for module in job.families:
        importlib.import_module(module)
    schema = read_schema(job.schema)
    contract = Contract(schema, ActionSpace.of(job.actions, schema.actions))
    folder, engines = Path(job.folder), AskedEngines(connection)
    confine()
    try:
        if job.verify:
            report = verify(folder, contract, job.limits, step, engines)
        elif job.describe:
            report = describe(folder, job.limits, step, engines)
        else:
            uploaded = [Part(part) for part in job.uploaded]
            parts = (folder, contract, uploaded, job.limits, step, engines)
            report = Assembly(*parts).build()
    except OSError as error:  # of the disk; it says of all else what it is
        say({"too_large": True} if error.errno == errno.EFBIG else {"unstored": error.strerror})
    else:
        say({"report": report.as_dict()})


if __name__ == "__main__":
    main()
