"""An uploaded preprocessor in its own process, for callers without an event loop."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from policy_server.contract.records import Record
from policy_server.policy.features import Outcome
from policy_server.sandbox.limits import ProcessLimits
from policy_server.sandbox.preprocessor_process import PreprocessorProcess


class SandboxedPreprocessor:
    """A preprocessor as serving runs it, asked one batch after the other.

    Args:
        path: The Python file.
        limits: What the process may take.
        width: F, the numbers that the network takes; None while nobody knows.
        probe: Try it otherwise than serving mostly runs it: see `Task`.
    """

    def __init__(
        self, path: Path, limits: ProcessLimits, width: int | None = None, *, probe: bool = False
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._process = PreprocessorProcess(path, limits, width, probe=probe, own_session=False)

    @property
    def rows(self) -> int:
        """Observations that serving would put into one batch, by what is known by now."""
        return self._process.rows

    @property
    def batches(self) -> bool:
        """Whether it is asked for several observations in one call; once it is started."""
        return self._process.batches

    def start(self) -> None:
        """Start the process and wait until it has loaded the file; raises UploadRejected."""
        self._loop.run_until_complete(self._process.start())

    def features(self, records: Sequence[Record]) -> Outcome:
        """Turn B records into float32[B, F]; raises PreprocessorFailed where the process ends."""
        return self._loop.run_until_complete(self._process.run(records))

    def close(self) -> None:
        """End the process."""
        self._process.close()
        self._loop.run_until_complete(asyncio.sleep(0))  # transports close in the next turn
        self._loop.close()
