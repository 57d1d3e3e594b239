"""A policy that draws nothing: neither density nor entropy stands anywhere beside its decisions."""

import csv
import io

import pytest
from streamlit.testing.v1 import AppTest

from policy_server.frontend.answers import read_decision
from policy_server.frontend.decision_rows import write_rows
from policy_server.frontend.renderers.dimension import Dimension
from policy_server.frontend.renderers.registry import parts_of
from policy_server.frontend.rows import read_rows, template
from policy_server.frontend.service import Service
from policy_server.frontend.sweep import decide_batch


def test_its_answers_have_no_density(certain_service: Service) -> None:
    client, observation = certain_service.client, certain_service.example()
    for operation in ("predict", "predict_deterministic"):
        answer = client.decide(operation, observation).document
        assert not {"density", "probability", "entropy"} & answer.keys()
        assert read_decision(answer).certainty is None
    weighed = client.decide("distribution", observation).document
    assert "entropy" not in weighed
    parts = parts_of(weighed, None)
    assert [type(each) for each in parts] == [Dimension, Dimension]
    assert all(each.described().endswith("always") for each in parts)


def test_its_file_of_decisions_has_no_column_of_a_density(certain_service: Service) -> None:
    found = read_rows(template(certain_service), certain_service)
    batch = decide_batch(certain_service.client, [row.observation for row in found.rows])
    out = write_rows(found, batch.decisions, batch.version, "abc").decode()
    (row,) = csv.DictReader(io.StringIO(out))
    assert list(row) == ["action[0]", "action[1]", "version", "schema", "speed", "gear"]
    assert row["version"] == batch.version != ""


def test_its_chart_is_one_line_without_an_area() -> None:
    certain, spread = (
        [layer["mark"]["type"] for layer in each.chart(0.5).to_dict()["layer"]]
        for each in (Dimension(0.5, 0.0), Dimension(0.5, 0.1))
    )
    assert certain == ["rule", "text"]
    assert spread == ["area", "rule", "text", "rule", "text"]


def test_what_is_bounded_has_a_band_within_its_bounds_and_no_curve() -> None:
    """Neither a Beta nor a squashed Gaussian has the density of a normal distribution."""
    bounded = {"mean": 0.9, "standard_deviation": 0.3, "minimum": -1.0, "maximum": 1.0}
    (part,) = parts_of({"dimensions": [bounded]}, None)
    chart = part.chart(-0.5).to_dict()
    kinds = [layer["mark"]["type"] for layer in chart["layer"]]
    assert kinds == ["rect", "rule", "text", "rule", "text"]
    (band,) = chart["datasets"][chart["layer"][0]["data"]["name"]]
    assert band == {"action": pytest.approx(0.6), "to": 1.0}
    assert chart["layer"][1]["encoding"]["x"]["scale"]["domain"] == [-1.0, 1.0]
    (row,) = part.rows(3)
    assert (row["low"], row["high"]) == (pytest.approx(0.6), 1.0)
    assert "from -1 to 1" in part.described()
    assert "one standard deviation" in part.note


def page(service: object) -> None:
    from policy_server.frontend import decide  # the text of this function alone is run

    decide.show(service)  # type: ignore[arg-type]


def test_its_page_says_no_density(certain_service: Service) -> None:
    app = AppTest.from_function(page, args=(certain_service,), default_timeout=60).run()
    (button,) = (each for each in app.button if each.label == "Decide")
    button.click().run()
    assert not app.exception
    decision = read_decision(certain_service.client.decide("predict", draft(app)).document)
    assert decision.words.replace(".", "\\.").replace("-", "\\-") in " ".join(
        each.value for each in app.markdown
    )
    assert not any("density" in each.value for each in (*app.markdown, *app.caption))
    (table,) = app.dataframe
    assert not {"density", "probability"} & set(table.value.columns)
    assert table.value["decision"].tolist() == [decision.words]


def draft(app: AppTest) -> object:
    """What the page has asked about."""
    return app.session_state["decided"].origin.observation
