"""What a child has started counts as its own, and ends with it, wherever it has gone."""

import os
import subprocess
import sys
from pathlib import Path

from policy_server.sandbox.descendants import end_family, family, family_bytes

SHARED = 100_000_000
LEAVES = f"""
import mmap, os, time
if os.fork() == 0:
    os.setsid()
    room = mmap.mmap(-1, {SHARED})
    room.write(bytes({SHARED}))
    print(os.getpid(), flush=True)
time.sleep(1e6)
"""


def test_shared_memory_of_another_session_is_counted_and_ended() -> None:
    child = subprocess.Popen([sys.executable, "-c", LEAVES], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout as told:
        left = int(told.readline())
    assert os.getsid(left) == left
    assert family(child.pid) == {child.pid, left}
    assert family_bytes(child.pid) > SHARED
    end_family(child.pid)
    child.wait()
    assert family_bytes(child.pid) == 0
    state = Path(f"/proc/{left}/stat")
    assert not state.exists() or " Z " in state.read_text()
