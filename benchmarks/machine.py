"""What a benchmark ran on, in words."""

import os
import platform
from pathlib import Path

GIBIBYTE = 2**30


def describe() -> str:
    """Processor, cores, memory, kernel and Python; nothing that tells whose machine it is."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIBIBYTE
    kernel = ".".join(platform.release().split(".")[:2])
    return (
        f"{models[0] if models else platform.machine()}, {len(os.sched_getaffinity(0))} cores, "
        f"{memory:.0f} GiB of memory, Linux {kernel}, Python {platform.python_version()}"
    )
