"""Policies of real frameworks, as the kit exported them, act as they acted in training."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.frameworks.cases import Case
from tests.frameworks.catalogue import CASES
from tests.frameworks.playing import play, publish_case, served
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(CASES[0], tmp_path_factory.mktemp("frameworks")) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_kept_was_made_by_this_kit(case: Case) -> None:
    assert case.is_current, (
        "the kit, or how this policy is trained, has changed since it was made: run "
        f'`make frameworks CASES="{case.name}"` and commit what it writes'
    )


def contents(path: Path) -> Iterator[bytes]:
    """What a file says, and each member of it where it is packed."""
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            yield from map(packed.read, packed.namelist())


def test_files_do_not_say_where_they_were_made() -> None:
    files = [path for case in CASES for path in case.folder.rglob("*") if path.is_file()]
    assert files
    places = re.compile(rb"export_policy\.py|site-packages|\.cache|/tmp/|/home/")
    assert [path for path in files if any(map(places.search, contents(path)))] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_episodes_over_http_are_those_of_the_framework(case: Case, server: Server) -> None:
    publish_case(case, server)
    assert list(play(server, case))[:10] == []


def test_what_differs_is_told(server: Server) -> None:
    """An episode that is played by another policy's decisions is no recorded one."""
    case, other = (
        next(each for each in CASES if each.name == name) for name in ("sb3_td3", "sb3_tqc")
    )
    assert (case.env, case.env_options) == (other.env, other.env_options)
    publish_case(other, server)
    faults = list(play(server, case))
    assert any("action" in fault for fault in faults)
    assert any("returns" in fault for fault in faults)
