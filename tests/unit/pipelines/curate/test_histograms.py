"""Histograms of scores: their bins against numpy's, and their sums."""

import numpy as np
import pyarrow as pa
from curation import scores_of
from curation_rules import FewLetters
from hypothesis import given
from hypothesis import strategies as st

from pipelines.curate.config import CurateConfig
from pipelines.curate.histograms import NAN, add_histograms, bin_of, histograms, lower_edge
from pipelines.curate.plan import make_plan

CONFIG = CurateConfig(filters=["few_words", "extreme_aspect"])


def counted(values: list[float]) -> dict[str, int]:
    rows = [{"key": str(n), "words": value, "aspect_ratio": 1.0} for n, value in enumerate(values)]
    return histograms(scores_of(rows, config=CONFIG), make_plan(CONFIG))["words"]


def test_the_counts_are_those_of_numpy_with_the_same_edges():
    random = np.random.default_rng(0)
    values = np.concatenate([random.lognormal(3, 2, 2000), random.integers(0, 40, 500).astype(float)])
    found = {int(place): count for place, count in counted(values.tolist()).items()}
    places = list(range(min(found), max(found) + 2))
    edges = [lower_edge(place) for place in places]
    assert edges == sorted(set(edges))
    expected, _ = np.histogram(values, edges)
    assert [found.get(place, 0) for place in places[:-1]] == expected.tolist()
    above = np.array(edges[1:])[np.array(edges[:-1]) > 1e-300]
    below = np.array(edges[:-1])[np.array(edges[:-1]) > 1e-300]
    assert (above / below <= 1 + 1 / 8).all()


numbers = st.floats(allow_nan=False, width=64)


@given(numbers, numbers)
def test_bins_are_ordered_as_numbers_are(one, other):
    first, second = bin_of(np.array([min(one, other), max(one, other)]))
    assert first <= second


@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_a_number_lies_in_its_bin_and_its_negative_in_another(value):
    (place,) = bin_of(np.array([value])).tolist()
    assert lower_edge(place) <= value < lower_edge(place + 1)
    if value > 0:
        (negative,) = bin_of(np.array([-value])).tolist()
        assert lower_edge(negative) == -lower_edge(place)
        assert negative < 0 <= place


def test_zero_has_one_bin_and_what_is_no_number_its_own():
    assert counted([0.0, -0.0, float("nan"), float("nan")]) == {"0": 2, NAN: 2}


def test_every_score_that_a_rule_compares_is_counted_once_and_text_not():
    config = CurateConfig(filters=["few_words", "many_words", "e"], rules={"e": FewLetters()})
    plan = make_plan(config)
    scores = scores_of([{"key": "a", "words": 3, "letters": 2}], config=CurateConfig(filters=["few_words"]))
    scores.tables["letters"] = pa.table({"letters": pa.array([2], pa.int32())})
    assert histograms(scores, plan) == {
        "words": {str(bin_of(np.array([3.0]))[0]): 1},
        "letters": {str(bin_of(np.array([2.0]))[0]): 1},
    }
    scores.tables["letters"] = pa.table({"letters": ["two"]})
    assert list(histograms(scores, plan)) == ["words"]


def test_sums_are_those_of_the_whole():
    values = [1.0, 2.0, 2.0, 300.0, float("nan")]
    parts = [{"words": counted(values[:2])}, {"words": counted(values[2:])}, {}]
    assert add_histograms(parts) == {"words": counted(values)}
    assert add_histograms([]) == {}
