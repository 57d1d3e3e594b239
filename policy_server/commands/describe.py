"""`describe`: what is known of a model file, and texts to begin with."""

import shutil
import tempfile
from pathlib import Path

import yaml

from policy_server.app.settings import read_settings
from policy_server.commands.terminal import show_progress
from policy_server.errors import UploadRejected
from policy_server.proving.build import describe as describe_model
from policy_server.proving.report import Check
from policy_server.serving.policy_folder import open_model_file, open_policy_folder
from policy_server.version.parts import Part, uploaded_file

ENDING = ".yaml"
"""Of checks whose details are texts of files."""


def describe(file: str, reads: str | None = None, output: str | None = None) -> None:
    """Print what is known of a model file, and a schema.yaml and a model.yaml to begin with.

    Args:
        file: A model's file, or a folder as for publish.
        reads: What its output stands for, where it does not tell: the word of model.yaml.
        output: Name of the output that is served, where it has several.
    """
    said = {"output": output, "reads": reads}
    with tempfile.TemporaryDirectory() as workshop:
        folder = Path(workshop)
        _lay(Path(file), folder)
        declared = {name: word for name, word in said.items() if word is not None}
        if declared:
            target = _place(folder, Part.DESCRIPTION)
            target.write_text(yaml.safe_dump(declared), encoding="utf-8")
        report = describe_model(folder, read_settings().build_limits, show_progress())
    _print(report.checks)
    if report.rejected is not None:
        report.raise_unless_ready()


def _lay(source: Path, folder: Path) -> None:
    """Copy a model, and what is declared of it, to where a build looks for them."""
    if source.is_dir():
        with open_policy_folder(source) as bundle:
            for part in (Part.MODEL, Part.DESCRIPTION):
                if part in bundle.parts:
                    with _place(folder, part).open("wb") as target:
                        shutil.copyfileobj(bundle.parts[part], target)
        return
    if not source.is_file():
        raise UploadRejected(f"{source} is neither a file nor a folder.")
    with open_model_file(source) as opened, _place(folder, Part.MODEL).open("wb") as target:
        shutil.copyfileobj(opened, target)


def _place(folder: Path, part: Part) -> Path:
    path = uploaded_file(folder, part)
    path.parent.mkdir(exist_ok=True)
    return path


def _print(checks: list[Check]) -> None:
    for check in checks:
        if check.name.endswith(ENDING):
            print(f"\n--- {check.name} ---\n{check.detail}", end="")
        else:
            print(f"{check.name}: {check.detail}")
