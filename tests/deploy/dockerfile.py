"""Reads as much of a Dockerfile as this project's has: stages, exec forms, globs, no heredocs."""

import json
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Stage:
    name: str
    parent: str
    instructions: list[tuple[str, str]] = field(default_factory=list)


class Dockerfile:
    """The stages of a Dockerfile by name, in order; arguments before the first have defaults."""

    def __init__(self, text: str) -> None:
        self.stages: dict[str, Stage] = {}
        self.arguments: dict[str, str] = {}
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
            if not line.strip():
                continue
            keyword, _, argument = line.strip().partition(" ")
            if keyword == "ARG" and not self.stages:
                name, _, default = argument.strip().partition("=")
                self.arguments[name] = default
            elif keyword == "FROM":
                parent, _, name = Template(argument).substitute(self.arguments).partition(" AS ")
                self.stages[name] = Stage(name, parent)
            else:
                list(self.stages.values())[-1].instructions.append((keyword, argument.strip()))

    @property
    def last(self) -> str:
        """The stage that `docker build .` makes."""
        return list(self.stages)[-1]

    def lineage(self, name: str) -> list[tuple[str, str]]:
        """All instructions that make a stage, those of its parents first."""
        stage = self.stages[name]
        inherited = self.lineage(stage.parent) if stage.parent in self.stages else []
        return inherited + stage.instructions

    def value(self, stage: str, keyword: str) -> str:
        """The argument of the last instruction of that kind."""
        return [value for word, value in self.lineage(stage) if word == keyword][-1]

    def environment(self, stage: str) -> dict[str, str]:
        """Every ENV of a stage."""
        pairs = [value for word, value in self.lineage(stage) if word == "ENV"]
        return dict(item.split("=", 1) for value in pairs for item in shlex.split(value))

    def runs(self, stage: str) -> list[str]:
        """Every RUN of a stage."""
        return [value for word, value in self.lineage(stage) if word == "RUN"]

    def labels(self, stage: str) -> dict[str, str]:
        """Every LABEL of a stage."""
        pairs = [value for word, value in self.lineage(stage) if word == "LABEL"]
        return dict(item.split("=", 1) for value in pairs for item in shlex.split(value))

    def command(self, stage: str) -> list[str]:
        """CMD, which must be in exec form."""
        return _exec_form(self.value(stage, "CMD"))

    def health_command(self, stage: str) -> list[str]:
        """The command of HEALTHCHECK, which must be in exec form."""
        return _exec_form(self.value(stage, "HEALTHCHECK").partition("CMD ")[2])

    def copies(self, stage: str) -> list[tuple[list[str], str]]:
        """Sources and destination of every COPY."""
        words = [shlex.split(value) for word, value in self.lineage(stage) if word == "COPY"]
        return [(list(sources), target) for *sources, target in words]


def read_dockerfile() -> Dockerfile:
    return Dockerfile((ROOT / "Dockerfile").read_text(encoding="utf-8"))


def in_context(path: Path, ignore: str) -> bool:
    """Whether `.dockerignore` leaves a file of the tree to the image; the last match counts."""
    relative = path.relative_to(ROOT)
    names = [str(part) for part in [relative, *relative.parents][:-1]]
    kept = True
    for line in ignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        keeps = pattern.startswith("!")
        parts = re.split(r"(\*\*/|\*)", pattern.removeprefix("!"))
        forms = {"**/": "(?:.*/)?", "*": "[^/]*"}
        expression = "".join(forms.get(part, re.escape(part)) for part in parts)
        if any(re.fullmatch(expression, name) for name in names):
            kept = keeps
    return kept


def copied_files(source: str, ignore: str) -> list[Path]:
    """The files of the tree that a source of COPY stands for."""
    found = [
        file
        for match in sorted(ROOT.glob(source))
        for file in (sorted(match.rglob("*")) if match.is_dir() else [match])
    ]
    return [file for file in found if file.is_file() and in_context(file, ignore)]


def assemble(dockerfile: Dockerfile, stage: str, folder: Path) -> None:
    """Lay into `folder` what COPY lays into the working directory of a stage."""
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    for sources, target in dockerfile.copies(stage):
        for source in sources:
            for file in copied_files(source, ignore):
                # A folder's content goes into the target; a file keeps its name.
                inner = file.relative_to(ROOT / source) if (ROOT / source).is_dir() else file.name
                destination = folder / target / inner
                destination.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, destination)


def _exec_form(text: str) -> list[str]:
    command = json.loads(text)
    assert isinstance(command, list), f"not in exec form: {text}"
    return [str(word) for word in command]
