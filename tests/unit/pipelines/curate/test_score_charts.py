"""Histograms for the report: edges and places by hand, areas by numpy's own histogram, the SVG by an XML parser."""

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from pipelines.common.html.charts import BOTTOM, HEIGHT, WIDTH
from pipelines.curate.config import CurateConfig
from pipelines.curate.histograms import NAN, bin_of
from pipelines.curate.plan import make_plan
from pipelines.curate.score_charts import (
    MARGIN,
    MOST_BARS,
    Limit,
    bins_of,
    looks_logarithmic,
    measured,
    merge,
    score_chart,
    score_limits,
    score_section,
)


def counts_of(values) -> dict[str, int]:
    bins, counts = np.unique(bin_of(np.array(values, np.float64)), return_counts=True)
    return {str(place): count for place, count in zip(bins.tolist(), counts.tolist(), strict=True)}


def chart(values, limits=(), is_log=None):
    counts = counts_of(values)
    return measured("score", counts, bins_of(counts), limits, is_log)


def test_edges_by_hand():
    """An octave has 8 bins: 1 to 1.125, 5 to 5.5, and -2.25 to -2; zero has one of its own."""
    assert bins_of(counts_of([1, 1.1, 5, -2, 0])) == [
        (-2.25, -2, 1),
        (0, pytest.approx(0, abs=1e-300), 1),
        (1, 1.125, 2),
        (5, 5.5, 1),
    ]
    assert bins_of({**counts_of([3]), NAN: 4}) == [(3, 3.25, 1)]


def test_narrow_bins_are_joined_and_gaps_stay():
    bins = [(1.0, 1.1, 2), (1.1, 1.2, 3), (5.0, 6.0, 1)]
    assert merge(bins, float, 0.5) == [(1.0, 1.5, 5), (5.0, 6.0, 1)]
    assert merge(bins, float, 0.05) == bins
    assert sum(count for *_, count in merge(bins, math.log10, 0.01)) == 6


@pytest.mark.parametrize("is_log", [False, True])
def test_areas_are_proportional_to_pairs(is_log):
    values = np.random.default_rng(0).lognormal(4, 1, 20_000)
    drawn = chart(values, is_log=is_log)
    assert len(drawn.bars) <= MOST_BARS + 1
    said = [int(bar.words.split(": ")[1].replace(",", "")) for bar in drawn.bars]
    assert sum(said) == 20_000
    scale = math.log10 if is_log else float
    low, high = (
        scale(edge) for edge in (bins_of(counts_of(values))[0][0], bins_of(counts_of(values))[-1][1])
    )
    tallest = max(drawn.bars, key=lambda bar: bar.height)
    for bar, count in zip(drawn.bars, said, strict=True):
        if bar.height > 20:
            # What lies between the bar's edges, by their place on the axis.
            edges = [
                low + (place - MARGIN) / (WIDTH - 2 * MARGIN) * (high - low)
                for place in (bar.left, bar.left + bar.width + 0.5)
            ]
            found = np.histogram(np.log10(values) if is_log else values, edges)[0][0]
            assert count == pytest.approx(found, abs=1)
            ratio = (count / (bar.width + 0.5)) / (bar.height)
            others = said[drawn.bars.index(tallest)] / (tallest.width + 0.5) / tallest.height
            assert ratio == pytest.approx(others, rel=1e-6)


def test_the_axis_is_logarithmic_where_values_lie_far_apart():
    draw = np.random.default_rng(1)
    assert looks_logarithmic(bins_of(counts_of(draw.lognormal(10, 2, 1000))))
    assert not looks_logarithmic(bins_of(counts_of(draw.uniform(0, 1, 1000))))  # a probability
    assert not looks_logarithmic(bins_of(counts_of(draw.normal(0, 100, 1000))))  # numbers below zero
    assert not looks_logarithmic(bins_of(counts_of(draw.uniform(200, 900, 1000))))
    assert looks_logarithmic(bins_of(counts_of([0] * 10 + list(draw.lognormal(5, 2, 1000)))))


def test_a_limit_stands_at_its_place():
    """From 1 to 1,125: on a logarithmic axis 100 lies at 2 / log10(1,125) of the width."""
    drawn = chart([1, 10, 1000, 1100], [Limit("many_words", 100)], is_log=True)
    top = bins_of(counts_of([1100]))[0][1]
    assert drawn.lines[0].at == pytest.approx(MARGIN + 2 / math.log10(top) * (WIDTH - 2 * MARGIN))
    assert drawn.lines[0].words == "many_words 100"
    outside = chart([1, 1.5], [Limit("extreme_aspect", 10)])
    assert outside.lines[0].at == pytest.approx(WIDTH - MARGIN)
    assert [tick.label for tick in drawn.ticks] == ["1", "10", "100", "1,000"]


def test_zeros_have_a_bar_of_their_own_left_of_a_logarithmic_axis():
    drawn = chart([0] * 5 + [1, 10, 1000], is_log=True)
    (zero,) = [bar for bar in drawn.bars if bar.words == "0: 5"]
    assert all(bar.left > zero.left + zero.width for bar in drawn.bars if bar is not zero)
    assert drawn.ticks[0].label == "0"


@pytest.mark.parametrize("values", [[5], [0], [0, 0, 0], [-3, 4], [1e-9, 1e9], [0.25] * 100])
def test_every_chart_is_whole_and_inside_its_frame(values):
    text = str(score_chart("<name>", counts_of(values), [Limit("a&b", 7), Limit("low", 0)]))
    figure = ET.fromstring(text)
    bars = figure.findall(".//rect")
    assert bars
    for bar in bars:
        left, top, width, height = (float(bar.get(name)) for name in ("x", "y", "width", "height"))
        assert 0 <= left <= left + width <= WIDTH
        assert 0 <= top <= top + height <= HEIGHT - BOTTOM + 0.1
    assert figure.find("figcaption").text.startswith("<name>")


def test_scores_without_a_value_are_counted_and_an_empty_score_has_no_chart():
    assert "3 more without a value" in str(score_chart("x", {**counts_of([1, 2]), NAN: 3}))
    assert score_chart("x", {NAN: 3}) == ""


def test_limits_of_a_recipe_by_score():
    """Two filters of one score share a chart; rules over the corpus compare no score with a number."""
    plan = make_plan(CurateConfig(rules={"same": {"kind": "duplicates", "of": "image", "keep": "first"}}))
    assert score_limits(plan) == {
        "shorter_side": [Limit("small_image", 200)],
        "aspect_ratio": [Limit("extreme_aspect", 10)],
        "words": [Limit("few_words", 3), Limit("many_words", 100)],
    }
    page = str(score_section({"words": counts_of([3, 4, 5]), "other": counts_of([1])}, plan))
    assert page.count("<svg") == 2
    assert "few_words 3" in page
    assert "many_words 100" in page
