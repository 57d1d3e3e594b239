"""The text that `/metrics` answers, in both forms."""

import pytest

from policy_server.metrics import catalogue
from policy_server.metrics.exposition import OPEN_METRICS, PROMETHEUS, media_type, render
from policy_server.metrics.layout import POLICY, WIDTH
from policy_server.metrics.totals import Totals
from tests.support.prometheus import promtool


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", PROMETHEUS),
        ("*/*", PROMETHEUS),
        ("text/plain", PROMETHEUS),
        ("text/html,application/xhtml+xml", PROMETHEUS),
        ("application/openmetrics-text", OPEN_METRICS),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;q=0.5",
            OPEN_METRICS,
        ),
        (
            "application/openmetrics-text; version=1.0.0; q=0.75, text/plain;version=0.0.4;q=0.5",
            OPEN_METRICS,
        ),
        ("text/plain;q=0.9, Application/OpenMetrics-Text ; charset=utf-8", OPEN_METRICS),
        ("application/openmetrics-text;q=0, text/plain", PROMETHEUS),
        ("application/openmetrics-text;version=1.0.0;q=0.000", PROMETHEUS),
        ("application/openmetrics-texts", PROMETHEUS),
    ],
)
def test_a_client_gets_the_form_that_it_asks_for(accept: str, form: str) -> None:
    assert media_type(accept) == form


def some() -> Totals:
    """A value of each metric, with what must be escaped among the labels."""
    totals = Totals()
    for metric in catalogue.METRICS:
        key = (metric.name, *['a "quoted"\\label\n'] * len(metric.labels))
        if metric.type == "histogram":
            totals.add_histogram(key, [1] * WIDTH)
        else:
            totals.add(key, 3 * metric.scale)
    return totals


@pytest.mark.parametrize("form", [PROMETHEUS, OPEN_METRICS])
def test_values_are_in_their_units_and_labels_are_escaped(form: str) -> None:
    lines = render(some(), form).decode().splitlines()
    label = r'"a \"quoted\"\\label\n"'
    assert f"policy_server_overloaded_total{{policy={label}}} 3" in lines
    expected = f"policy_server_build_duration_seconds_total{{policy={label},outcome={label}}} 3.0"
    assert expected in lines
    found = [line for line in lines if line.startswith("policy_server_batch_rows_bucket")]
    counts = [int(line.rpartition(" ")[2]) for line in found]
    assert counts == list(range(1, len(catalogue.BATCH_ROWS.bounds) + 2))
    assert 'le="+Inf"' in found[-1]
    assert f"policy_server_batch_rows_count{{policy={label}}} {counts[-1]}" in lines
    assert (lines[-1] == "# EOF") is (form == OPEN_METRICS)


def test_promtool_finds_nothing_to_say_about_the_older_form() -> None:
    """The newer one Prometheus reads itself: see test_scraped.py."""
    assert promtool("check", "metrics", text=render(some(), PROMETHEUS)).strip() == ""


def test_names_have_their_units_and_say_what_they_are() -> None:
    names = [metric.name for metric in catalogue.METRICS]
    assert len(names) == len(set(names))
    assert POLICY == "default"
    for metric in catalogue.METRICS:
        assert metric.help.endswith(".")
        assert not metric.name.endswith(("_total", "_count", "_sum", "_bucket", "_info_info"))
        assert metric.unit == "" or metric.name.endswith(f"_{metric.unit}")
        assert (metric.type == "histogram") is bool(metric.bounds)
        assert list(metric.bounds) == sorted(set(metric.bounds))
