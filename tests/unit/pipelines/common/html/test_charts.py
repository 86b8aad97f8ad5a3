import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.html.charts import HEIGHT, LEFT, RIGHT, WIDTH, line_chart, nice_ticks, short


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


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 4, [0, 1, 2, 3, 4]), (0, 0.9, [0, 0.5, 1]), (3.25, 3.5, [3.2, 3.3, 3.4, 3.5]), (2, 2, [2])],
)
def test_ticks_are_round_numbers_that_span_the_values(low, high, expected):
    assert nice_ticks(low, high) == pytest.approx(expected)


def test_numbers_are_short():
    assert [short(v) for v in (0, 12345.6, 123.4, 4.8512, 0.00012)] == [
        "0",
        "12,346",
        "123",
        "4.85",
        "1.2e-4",
    ]
