import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.html.charts import HEIGHT, LEFT, RIGHT, WIDTH, charts, line_chart, thinned


def coordinates(chart):
    found = re.search(r'points="([^"]*)"', chart)[1]
    return [tuple(map(float, pair.split(","))) for pair in found.split()]


def test_a_falling_curve_goes_down_from_left_to_right():
    points = coordinates(line_chart("loss", [(0, 4.0), (50, 2.0), (100, 1.0)]))
    assert points[0][0] == LEFT
    assert points[-1][0] == WIDTH - RIGHT
    assert points[1][0] == pytest.approx((LEFT + WIDTH - RIGHT) / 2)
    heights = [y for _, y in points]
    assert heights == sorted(heights)  # y grows downwards in SVG
    assert heights[2] - heights[1] == pytest.approx((heights[1] - heights[0]) / 2, abs=0.11)


def test_what_is_not_finite_is_left_out_and_nothing_gives_nothing():
    assert len(coordinates(line_chart("loss", [(0, 1.0), (1, float("nan")), (2, 3.0)]))) == 2
    assert line_chart("loss", [(0, float("inf"))]) == ""


def test_titles_are_escaped():
    assert "a &lt;b&gt;" in line_chart("a <b>", [(0, 1.0), (1, 2.0)])


@settings(deadline=None)  # the limit is the test's, not a shared machine's
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_every_point_lies_in_the_picture(values):
    chart = line_chart("any", list(enumerate(values)))
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in coordinates(chart))


def test_long_runs_are_thinned_without_losing_a_peak():
    points = [(float(step), 1.0) for step in range(100_000)]
    points[54_321] = (54_321.0, 9.0)
    kept = thinned(points, 300)
    assert len(kept) <= 300
    assert (54_321.0, 9.0) in kept
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert kept == sorted(kept)
    assert len(line_chart("loss", points)) < 10_000


def test_labels_stay_in_the_picture():
    """At the widths of a wide font (12 px letters): a text set to the right ends at its x, another begins there."""
    chart = line_chart("rate", [(0, 0.001), (100, 0.0000123)], unit="seconds, mean of a stretch")
    for x, anchor, text in re.findall(
        r'<text[^>]* ?x="([\d.]+)"[^>]*?(text-anchor="\w+")?>(.*?)</text>', chart
    ):
        width = sum(3.9 if letter in ".,-il" else 7.7 for letter in text)
        start = float(x) - (width if "end" in anchor else width / 2 if "middle" in anchor else 0)
        assert start >= -1, text
        assert start + width <= WIDTH + 8, text


def test_charts_stand_together():
    figures = [line_chart("a", [(0, 1.0), (1, 2.0)]), line_chart("b", [(0, 1.0), (1, 2.0)])]
    page = charts(figures)
    assert page.count('<div class="charts">') == 1
    assert [page.count(figure) for figure in figures] == [1, 1]
    assert charts([]) == ""
