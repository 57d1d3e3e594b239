"""`describe`: what is known of a model file, and texts to begin with."""

from pathlib import Path

from policy_server.app.settings import read_settings
from policy_server.commands.terminal import show_progress
from policy_server.proving.report import Check
from policy_server.serving.describing import describe_model

ENDING = ".yaml"
"""Of checks whose details are texts of files."""


def describe(file: str, reads: str | None = None, output: str | None = None) -> None:
    """Say what a model file is, with a schema and a model.yaml to begin with.

    Args:
        file: A model's file, or a folder as for publish.
        reads: What its output stands for, where it does not tell: the word of model.yaml.
        output: Name of the output that is served, where it has several.
    """
    said = {"output": output, "reads": reads}
    declared = {name: word for name, word in said.items() if word is not None}
    settings = read_settings()
    limits, servers = settings.build_limits, settings.engine_servers(settings.base_path)
    report = describe_model(Path(file), declared, limits, show_progress(), servers)
    _print(report.checks)
    if report.rejected is not None:
        report.raise_unless_ready()


def _print(checks: list[Check]) -> None:
    for check in checks:
        if check.name.endswith(ENDING):
            print(f"\n--- {check.name} ---\n{check.detail}", end="")
        else:
            print(f"{check.name}: {check.detail}")
