"""Kinds of problems: each has a type of its own, which programs go by."""

import re
import warnings

import requests

from policy_server import errors
from tests.support.server import ROOT, Server

with warnings.catch_warnings():  # of connexion, which imports what jsonschema will drop
    warnings.simplefilter("ignore", DeprecationWarning)
    from policy_server.web.problems import STATUSES, type_of


def test_no_two_kinds_of_problems_share_a_type() -> None:
    titles = [title for _, title in STATUSES.values()]
    types = {type_of(title) for title in titles}
    assert len(types) == len(titles)
    assert all(re.fullmatch(r"/problems/[a-z0-9]+(-[a-z0-9]+)*", each) for each in types)
    conflicts = [errors.VersionConflict, errors.MemoryWanted, errors.ClientOutdated]
    assert len({type_of(STATUSES[each][1]) for each in conflicts}) == len(conflicts)


def test_every_kind_is_documented_by_its_title() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    for status, title in STATUSES.values():
        assert f"| {status} | {title} |" in page


def test_answers_say_their_type(lpoc_server: Server) -> None:
    def asked(method: str, operation: str, **options: object) -> tuple[int, str]:
        url = f"{lpoc_server.url}/{operation}"
        answer = requests.request(method, url, timeout=30, **options)  # type: ignore[arg-type]
        return answer.status_code, answer.json()["type"]

    assert asked("POST", "predict", json={}) == (401, "/problems/not-authenticated")
    assert asked("GET", "nothing") == (404, "/problems/not-found")
    assert asked("PUT", "predict") == (405, "/problems/method-not-allowed")
    for body, headers, kind in (
        ({}, {}, (400, "/problems/not-a-valid-observation")),
        (None, {"X-Policy-Version": "9-none"}, (409, "/problems/version-conflict")),
        ({}, {"X-Schema-Hash": "another"}, (409, "/problems/made-for-another-schema")),
    ):
        sent = lpoc_server.get("swagger.json").json()["definitions"]["Observation"]["example"]
        answer = lpoc_server.post("predict", sent if body is None else body, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == kind, answer.text
