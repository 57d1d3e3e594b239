"""Whatever bytes arrive and however they are cut: the short cut changes no answer.

STREAMS and STREAMS_SEED, of this test alone, send more and others.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.checkout import ROOT
from tests.web.streams_ground import ground, settings

STREAMS = os.environ.get("STREAMS", "4000")
SEED = os.environ.get("STREAMS_SEED", "1")
SECONDS_A_STREAM = 0.1
"""Far above what one takes; who needs longer hangs."""


def test_no_stream_is_answered_otherwise_by_the_short_cut(tmp_path: Path) -> None:
    """Nor is one decided without credentials: differential.py looks at that too."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.web.differential", STREAMS, SEED],
        cwd=ROOT,
        env=settings(ground(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60 + int(STREAMS) * SECONDS_A_STREAM,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    # It would prove nothing if nothing was decided, or nothing on the short cut.
    assert found["faults"] == 0
    assert found["shortened"] > int(STREAMS) / 100
    assert found["200"] > int(STREAMS) / 10
    assert {"400", "401", "431"} < set(found)
