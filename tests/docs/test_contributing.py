"""The hooks of pre-commit do what `make check` does, and CHANGELOG.md keeps its form."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

from policy_server.policy.families.family import Family
from policy_server.policy.families.normal import NormalDimensions
from policy_server.policy.families.numbered import NumberedFamily
from policy_server.policy.families.paired import PairedFamily
from policy_server.policy.families.real import RealFamily
from policy_server.policy.families.recognition import Reading
from policy_server.policy.families.softmax import SoftmaxHeads

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = ROOT / ".pre-commit-config.yaml"
BIN = Path(sys.executable).parent


def hooks() -> dict[str, dict[str, Any]]:
    configuration = yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))
    (repository,) = configuration["repos"]
    assert repository["repo"] == "local", "a hook from elsewhere needs the network"
    return {hook["id"]: hook for hook in repository["hooks"]}


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (found,) = re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    return [line.strip() for line in found.splitlines()]


def test_the_configuration_is_one() -> None:
    command = [str(BIN / "pre-commit"), "validate-config", str(CONFIGURATION)]
    subprocess.run(command, check=True, cwd=ROOT)


def test_hooks_check_what_make_check_checks() -> None:
    entries = [hook["entry"] for hook in hooks().values()]
    tools = [
        entry.replace("--force-exclude", "").replace(".venv/bin/", "$(BIN)/") for entry in entries
    ]
    checks = [command.removesuffix(" .") for command in recipe("check")]
    assert len(checks) == 3
    assert [tool.strip().removesuffix(" .") for tool in tools[:3]] == checks


def test_hooks_run_what_is_installed() -> None:
    for hook in hooks().values():
        program, *arguments = hook["entry"].split()
        assert hook["language"] == "system"
        assert (BIN / Path(program).name).exists()
        assert all((ROOT / word).exists() for word in arguments if "/" in word)


def test_the_picture_is_drawn_again_when_its_sources_change() -> None:
    pattern = re.compile(hooks()["picture"]["files"])
    read = ["app.py", "policy_server/errors.py", "policy_server/web/limits.py"]
    assert all(pattern.search(name) for name in read)
    assert not pattern.search("tests/test_structure.py")
    (command,) = recipe("picture")
    assert command.split()[1:] == hooks()["picture"]["entry"].split()[1:]


def test_the_changelog_keeps_a_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", text, re.MULTILINE)
    assert versions[0] == ("Unreleased", "")
    assert all(date for _, date in versions[1:])
    assert versions[1:] == sorted(versions[1:], key=lambda version: version[1], reverse=True)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    released = [version for version, _ in versions[1:]]
    assert not released or project["version"] == released[0]


def test_the_recipe_of_a_distribution_speaks_of_what_there_is() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipe = text.partition("**A distribution.**")[2].partition("**An engine.**")[0]
    words = re.findall(r"`([^`]+)`", recipe)
    assert all((ROOT / word).exists() for word in words if "/" in word)
    classes = {"NumberedFamily": NumberedFamily, "RealFamily": RealFamily}
    classes |= {"SoftmaxHeads": SoftmaxHeads, "PairedFamily": PairedFamily}
    classes |= {"NormalDimensions": NormalDimensions}
    assert {word for word in words if word[0].isupper()} == classes.keys()
    members = {word for word in words if re.fullmatch("[a-z_]+", word)} - {"app", "register"}
    members -= {*Reading._fields}
    assert all(hasattr(SoftmaxHeads, word) or word in Family.__annotations__ for word in members)
    needed = {name for name in dir(SoftmaxHeads) if name in Family.__abstractmethods__}
    mathematics = {"check", "sample", "mode", "log_probability", "entropy", "decide"}
    assert mathematics <= members & needed
