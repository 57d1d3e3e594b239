"""What is fuzzed: a reader of what somebody uploads, and what always holds of it.

A reader either takes the bytes or refuses them with the error of its room. Any other error, a
crash of the interpreter, more memory than `MOST_MEGABYTES` and more time than `MOST_SECONDS` are
findings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MOST_MEGABYTES, MOST_SECONDS = 1500, 20
"""Of one case; libFuzzer ends what takes more."""


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        read: Reads bytes and looks at what came of them; false where they are refused.
        seeds: Sound files by name: what the mutations begin with.
        words: Words that files of this kind are made of.
        share: Of all cases that are run, beside the others' shares.
        most_bytes: Longest case.
    """

    read: Callable[[bytes], bool]
    seeds: Mapping[str, bytes]
    words: tuple[str, ...] = field(default=())
    share: int = 1
    most_bytes: int = 4096
