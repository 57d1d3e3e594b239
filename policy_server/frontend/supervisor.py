"""Runs a command until standard input ends: `python -m policy_server.frontend.supervisor COMMAND`.

The front-end holds the other end of the pipe. However it ends, killed included, the pipe closes,
and what it started ends too.
"""

import os
import subprocess
import sys
import threading

GRACE_SECONDS = 20


def supervise(command: list[str]) -> int:
    """Run a command until it ends or standard input does.

    Returns:
        The command's exit code.
    """
    # It inherits the listener that was given to this process to pass on.
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)

    def end_with_input() -> None:
        # Not sys.stdin: its lock would be held when the interpreter shuts down.
        while os.read(0, 1024):
            pass
        child.terminate()
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()

    threading.Thread(target=end_with_input, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    raise SystemExit(supervise(sys.argv[1:]))
