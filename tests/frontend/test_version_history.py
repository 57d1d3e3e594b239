"""The time line of versions, as the list of them and the audit log tell it."""

import json
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from policy_server.frontend.metrics_reading import Labels
from policy_server.frontend.version_history import active_before, events_of, golden_words, rows_of
from policy_server.frontend.version_traffic import shares_of
from tests.support.sites import other_site


def entry(version: str, operation: str, outcome: str = "done", **others: str) -> dict[str, Any]:
    at = {"time": "2026-03-01T10:00:30.123+01:00", "who": "alice"}
    return {"subject": version, "operation": operation, "outcome": outcome, **at, **others}


def version(name: str, state: str = "complete", **others: Any) -> dict[str, Any]:
    known = {"created": "2026-02-01T08:00:00+00:00", "created_by": "bob", "workers": 0}
    return {"version": name, "state": state, "parts": [], "checks": [], **known, **others}


LOG = [
    entry("2-b", "delete_version"),
    entry("3-c", "activate_version", "refused", detail="Version 3-c lacks parts."),
    entry("10-d", "activate_version", request="r2"),
    entry("10-d", "activate_version", "begun", request="r2"),
    entry("1-a", "activate_version", time="2026-01-01T00:00:00+00:00"),
    entry("2-b", "upload_policy", who="carol"),
    entry("carol", "user add"),
    entry("4-e", "activate_version", "begun", request="r3"),
]


def test_versions_and_deleted_ones_stand_in_the_order_of_their_numbers() -> None:
    rows = rows_of(
        [version("1-a"), version("3-c", "incomplete"), version("10-d", "active")], _log()
    )
    assert [row["version"] for row in rows] == ["10-d", "3-c", "2-b", "1-a"]
    assert [row["state"] for row in rows] == [
        "active", "incomplete", "deleted 2026-03-01 09:00 UTC, by alice", "staged",
    ]  # fmt: skip
    assert [row["by"] for row in rows] == ["bob", "bob", "carol", "bob"]
    assert rows[0]["last activated"] == "2026-03-01 09:00 UTC, by alice"
    assert rows[1]["last activated"] == ""  # it was refused


def test_what_was_begun_is_told_only_as_long_as_it_has_not_ended() -> None:
    words = [each.words for each in _log()]
    assert sum(each.version == "10-d" for each in _log()) == 1
    assert words[1].endswith("activated by alice: refused (Version 3-c lacks parts)")
    assert words[-1].endswith("activated by alice: begun")


def test_the_one_to_roll_back_to_is_there_and_was_active_before() -> None:
    assert active_before("10-d", ["1-a", "3-c"], _log()) == "1-a"
    assert active_before("10-d", ["3-c"], _log()) is None
    assert active_before("1-a", ["10-d"], _log()) == "10-d"
    assert active_before("1-a", ["10-d"], []) is None


def test_golden_cases_are_told_as_the_build_has_replayed_them() -> None:
    check = {"name": "golden cases", "passed": True}
    assert golden_words(version("1-a")) == "none"
    assert golden_words(version("1-a", parts=["golden"])) == "not replayed"
    assert golden_words(version("1-a", parts=["golden"], checks=[check])) == "agree"
    failed = {**check, "passed": False}
    assert golden_words(version("1-a", parts=["golden"], checks=[check, failed])) == "differ"


def test_traffic_is_shared_among_the_versions_that_have_decided() -> None:
    requests: dict[Labels, float] = {
        ("predict", "200", "2-b"): 6.0,
        ("predict_batch", "200", "2-b"): 3.0,
        ("predict", "400", ""): 90.0,
        ("predict", "200", "1-a"): 1.0,
    }
    assert shares_of(requests) == {"2-b": 0.9, "1-a": 0.1}
    assert shares_of({("predict", "400", ""): 9.0}) == {}


def traffic(url: str) -> None:
    """A page that asks for the metrics."""
    from types import SimpleNamespace
    from typing import Any

    import streamlit as st

    from policy_server.frontend import version_traffic
    from policy_server.frontend.client import Client, Credentials

    service: Any = SimpleNamespace(client=Client(url, Credentials()))
    st.caption(version_traffic.read(service, "state").words)
    st.button("Something else")


def test_a_server_that_shows_no_metrics_is_not_asked_for_them_again() -> None:
    with other_site("<p>Hello</p>") as site:
        page = AppTest.from_function(traffic, args=(site.origin,)).run(timeout=60)
        page.button[0].click().run(timeout=60)
    assert not page.exception
    assert site.asked == ["/metrics"]
    assert "not shown. What answers at /metrics does not answer as" in page.caption[0].value


def details() -> None:
    """A page with a version, a worker that is not well, and a replay that has failed."""
    import streamlit as st

    from policy_server.frontend import version_details

    case = {
        "place": "line 3",
        "differences": [{"field": "probabilities[1]", "recorded": "0.1", "found": "0.2"}],
    }
    check = {"name": "golden cases", "passed": False, "detail": "1 of 4 disagrees"}
    st.session_state["verified"] = {"1-a": {"passed": False, "checks": [check], "cases": [case]}}
    version = {"version": "1-a", "created": "yesterday", "created_by": "bob", "checks": [check]}
    workers = [{"pid": 7, "version": "1-a", "fault": "Files are damaged."}]
    version_details.show(version, [*workers, {"pid": 8, "version": None}], [])


def test_a_replay_that_fails_is_told_case_by_case() -> None:
    page = AppTest.from_function(details).run(timeout=60)
    assert not page.exception
    assert [each.value for each in page.error] == [
        r"The golden cases of version 1\-a do not agree\."
    ]
    assert page.dataframe[0].value.to_dict("records") == [
        {"case": "line 3", "field": "probabilities[1]", "recorded": "0.1", "found": "0.2"}
    ]
    assert page.warning[0].value == r"Worker 7: Files are damaged\.".replace(":", r"\:")
    said = " ".join(each.value for each in page.markdown)
    assert r"1 of 2 workers decide with version 1\-a" in said
    assert r"yesterday\: made by bob" in said


def events(url: str) -> None:
    """A page that asks for the audit log."""
    from types import SimpleNamespace
    from typing import Any

    import streamlit as st

    from policy_server.frontend import version_events
    from policy_server.frontend.client import Client, Credentials

    service: Any = SimpleNamespace(client=Client(url, Credentials()))
    st.text(f"{len(version_events.read(service, []))} events")


@pytest.mark.parametrize(
    "answer", ["<p>Hello</p>", "[]", "{}", '{"entries": [{}]}', '{"entries": [1]}']
)
def test_what_is_no_audit_log_is_told_in_a_sentence(answer: str) -> None:
    with other_site(answer) as site:
        page = AppTest.from_function(events, args=(site.origin,)).run(timeout=60)
    assert not page.exception
    assert page.text[0].value == "0 events"
    assert "the audit log was not read" in page.caption[0].value


def log_of(url: str) -> None:
    """A page with the audit log of versions that change."""
    from types import SimpleNamespace
    from typing import Any

    import streamlit as st

    from policy_server.frontend import version_events
    from policy_server.frontend.client import Client, Credentials

    service: Any = SimpleNamespace(client=Client(url, Credentials()))
    state = "complete" if st.checkbox("staged") else "active"
    events = version_events.read(service, [{"version": "10-d", "state": state}])
    st.caption(version_events.age())
    st.button("Read again", on_click=version_events.forget)
    st.button("Something else")
    st.text(f"{len(events)} events")


def test_the_audit_log_is_read_once_until_versions_change_or_somebody_asks() -> None:
    with other_site(json.dumps({"entries": LOG})) as site:
        page = AppTest.from_function(log_of, args=(site.origin,)).run(timeout=60)
        page.button[1].click().run(timeout=60)
        assert len(site.asked) == 1
        assert "the audit log as of" in page.caption[0].value
        page.checkbox[0].check().run(timeout=60)
        assert len(site.asked) == 2
        page.button[0].click().run(timeout=60)
        assert len(site.asked) == 3
        page.button[1].click().run(timeout=60)
        assert len(site.asked) == 3
    assert not page.exception
    assert page.text[0].value == f"{len(_log())} events"


def _log() -> list[Any]:
    return events_of(LOG)
