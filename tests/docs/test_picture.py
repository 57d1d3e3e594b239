"""The committed pictures are sound, and the architecture is drawn from the sources as they are."""

import importlib.util
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "assets/draw_architecture.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    specification = importlib.util.spec_from_file_location("draw_architecture", SCRIPT)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules["draw_architecture"] = module
    specification.loader.exec_module(module)
    return module


def test_the_committed_picture_is_the_one_that_the_sources_make(script: ModuleType) -> None:
    committed = (ROOT / "assets/architecture.svg").read_text(encoding="utf-8")
    assert script.draw(script.rooms()) == committed, "run: make picture"


def test_the_script_needs_nothing_but_python_and_writes_the_same_again(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    copy = tmp_path / "assets/draw_architecture.py"
    copy.write_bytes(SCRIPT.read_bytes())
    (tmp_path / "policy_server").symlink_to(ROOT / "policy_server")
    for file in ROOT.glob("*.py"):
        (tmp_path / file.name).symlink_to(file)
    subprocess.run([sys.executable, "-I", "-S", str(copy)], cwd="/", check=True)
    made = (tmp_path / "assets/architecture.svg").read_bytes()
    assert made == (ROOT / "assets/architecture.svg").read_bytes()


def test_arrows_point_down_and_none_that_follows_from_others_is_drawn(script: ModuleType) -> None:
    found = script.rooms()
    graph = {name: room.imports for name, room in found.items()}
    level = {name: number for number, row in enumerate(script.levels(graph)) for name in row}
    assert level.keys() == graph.keys()
    assert all(level[name] < level[other] for name in graph for other in graph[name])
    chain = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset()}
    assert script.direct(chain) == {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset()}
    assert "serving" in found["web"].imports


@pytest.mark.parametrize("name", ["architecture.svg", "logo.svg", "favicon.svg"])
def test_pictures_are_sound_and_load_nothing(name: str) -> None:
    text = (ROOT / "assets" / name).read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "href" not in text
    assert "<script" not in text
