"""What a preprocessor's own process may take, and which limit it met."""

from dataclasses import asdict, dataclass

MET = {
    "MemoryError": "it may take {megabytes} MB of memory",
    "Unable to allocate": "it may take {megabytes} MB of memory",
    "Cannot allocate memory": "it may take {megabytes} MB of memory",
    "can't start new thread": "it may start neither threads nor processes",
    "Resource temporarily unavailable": "it may start neither threads nor processes",
    "Network is unreachable": "it has no network",
    "name resolution": "it has no network",
    "Name or service not known": "it has no network",
    "Too many open files": "it may have {files} files open",
    "Permission denied": "it may read its own file and Python's libraries, and write nothing",
    "Operation not permitted": "it may ask nothing of the system that changes it",
}
"""What Python and the C library say where a limit is met, and the limit."""


@dataclass(frozen=True)
class ProcessLimits:
    """What a preprocessor's process may take.

    Attributes:
        megabytes: Of memory of its own.
        files: Open at once.
        seconds: For one batch.
        confined: Memory, files, threads, processes and the network are limited at all; not where
            the operator lets preprocessors run in the workers themselves.
    """

    megabytes: int = 512
    files: int = 64
    seconds: float = 5.0
    confined: bool = True

    def explained(self, cause: str) -> str:
        """What uploaded code said, and the limit that it met, if it speaks of one."""
        for words, limit in MET.items():
            if self.confined and words in cause:
                return f"{cause}: {limit.format_map(asdict(self))} where it serves"
        return cause

    @property
    def all_told(self) -> str:
        """Every limit, for a process that ended without a word."""
        if not self.confined:
            return "nothing but its time is limited"
        return (
            f"where it serves it may take {self.megabytes} MB of memory, have {self.files} files "
            "open, start neither threads nor processes, and has neither network nor files of others"
        )


@dataclass(frozen=True)
class EngineLimits:
    """What the process of an engine may take.

    Attributes:
        megabytes: Of memory of its own.
        seconds: For one batch.
    """

    megabytes: int = 4000
    seconds: float = 30.0
