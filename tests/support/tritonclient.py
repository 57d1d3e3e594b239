"""NVIDIA's own clients of the Open Inference Protocol, in an environment of their own."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.counterparts import REQUIREMENTS, environment_of

DRIVER = REQUIREMENTS / "tritonclient_driver.py.txt"


def tritonclient(
    url: str, questions: Sequence[Mapping[str, Any]], headers: Mapping[str, str] | None = None
) -> list[Any]:
    """What the clients say to each question of the driver."""
    python = environment_of("tritonclient") / "bin" / "python"
    done = subprocess.run(
        [python, DRIVER, url.removeprefix("http://"), json.dumps(headers or {})],
        input="\n".join(map(json.dumps, questions)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
