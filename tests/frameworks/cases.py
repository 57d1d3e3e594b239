"""A small policy that is trained with a real framework, exported, kept and played."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policy_server.export.registry import FRAMEWORKS
from policy_server.export.script import script_of

HERE = Path(__file__).parent
KEPT = HERE.parent / "files" / "frameworks"
STAMP = "stamp"
HELPERS = ("environments.py", "recording.py")
"""Lie beside the script that trains, where it is run."""


@dataclass(frozen=True)
class Case:
    """One policy.

    Attributes:
        name: Of its folder among the kept ones.
        framework: As the kit calls it.
        training: Name of the script that trains, `train_NAME.py`.
        requirements: What is installed where that runs: nothing of this server.
        arguments: What that is called with before the folder.
        env: The environment: an id of Gymnasium, or `module:function`.
        env_options: What that is made with.
        options: Of the kit's script, beside checkpoint, environment and folder.
        checkpoint: What the training saves.
        memory: Its episodes are played by /step_batch.
    """

    name: str
    framework: str
    training: str
    requirements: Sequence[str]
    env: str
    env_options: Mapping[str, Any] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    options: Sequence[str] = ()
    checkpoint: str = "checkpoint.zip"
    memory: bool = False

    @property
    def folder(self) -> Path:
        """Where it is kept: `policy`, `recorded.npz` and the stamp."""
        return KEPT / self.name

    @property
    def script(self) -> str:
        """The kit's one file for its framework."""
        return script_of(FRAMEWORKS[self.framework])

    @property
    def current_stamp(self) -> str:
        """Hash of all that its folder is made by."""
        files = [*HELPERS, f"train_{self.training}.py"]
        texts = [(HERE / name).read_text(encoding="utf-8") for name in files]
        return hashlib.sha256("\n".join([self.script, *texts, repr(self)]).encode()).hexdigest()

    @property
    def is_current(self) -> bool:
        """Whether what is kept was made by what lies here."""
        kept = self.folder / STAMP
        return kept.is_file() and kept.read_text(encoding="utf-8").strip() == self.current_stamp
