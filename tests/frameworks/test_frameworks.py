"""Policies of real frameworks, as the kit exported them, act as they acted in training."""

from collections.abc import Iterator

import pytest

from policy_server.serving.policy_folder import open_policy_folder
from policy_server.web.remote import password_of, publish_to
from tests.frameworks.cases import Case
from tests.frameworks.catalogue import CASES
from tests.frameworks.playing import play
from tests.support.server import PASSWORD, USER, Server, gunicorn, publish


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all of them: each brings its own schema along."""
    base_path = tmp_path_factory.mktemp("frameworks") / "instance"
    with gunicorn(publish(CASES[0].folder / "policy", base_path)) as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_kept_was_made_by_this_kit(case: Case) -> None:
    assert case.is_current, "the kit or its tests have changed: run `make frameworks`, and commit"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_episodes_over_http_are_those_of_the_framework(case: Case, server: Server) -> None:
    with open_policy_folder(case.folder / "policy") as bundle:
        publish_to(server.url, bundle, password_of(USER, PASSWORD))
    assert list(play(server, case))[:10] == []
