"""Charts are shown, however many points they have."""

from streamlit.testing.v1 import AppTest

MOST_POINTS = 100 * 100
"""Of a map with as many points a side as may be chosen."""


def drawing(points: int) -> None:
    import altair as alt  # the text of this function alone is run
    import pandas as pd

    from policy_server.frontend import charts

    table = pd.DataFrame({"x": range(points), "y": range(points)})
    charts.draw(alt.Chart(table).mark_rect().encode(x="x:Q", y="y:Q"), "Many points")


def test_the_most_points_of_a_map_are_drawn() -> None:
    app = AppTest.from_function(drawing, args=(MOST_POINTS,), default_timeout=60).run()
    assert not app.exception
    assert len(app.get("vega_lite_chart")) == 1
