"""Paired differences against scipy's interval."""

import numpy as np
import pytest
from scipy import stats

from cluster.ablation.differences import as_texts, difference, differences
from cluster.ablation.table import Column, Line, Table

COLUMN = Column("retrieval", "test", "R@1")


def line(row: str, values: dict[int, float]) -> Line:
    return Line(row, row.upper(), "row", {COLUMN: values})


def test_equals_students_interval_over_the_seeds_that_both_rows_have():
    mine = {0: 0.31, 1: 0.36, 2: 0.33, 5: 0.38, 9: 0.9}
    others = {0: 0.30, 1: 0.31, 2: 0.34, 5: 0.33, 7: 0.1}
    found = difference(mine, others)
    pairs = np.array([mine[seed] - others[seed] for seed in (0, 1, 2, 5)])
    low, high = stats.t.interval(0.95, 3, loc=pairs.mean(), scale=stats.sem(pairs))
    assert found is not None
    assert found.seeds == 4
    assert found.mean == pytest.approx(pairs.mean())
    assert found.reach == pytest.approx((high - low) / 2, rel=1e-3)


def test_two_seeds_have_the_wide_interval_that_they_deserve():
    found = difference({0: 0.2, 1: 0.4}, {0: 0.1, 1: 0.1})
    assert found is not None
    assert found.reach == pytest.approx(
        12.7062 * 0.1, rel=1e-4
    )  # t of one degree of freedom, standard error 0.1


def test_one_seed_has_no_interval_and_none_no_difference():
    assert str(difference({1: 0.5}, {1: 0.25})) == "+0.250"
    assert difference({1: 0.5}, {2: 0.25}) is None


def test_pairs_without_both_rows_are_left_out():
    measured = Table("T", (COLUMN,), (line("a", {0: 0.2, 1: 0.3}), line("b", {0: 0.1, 1: 0.1})))
    assert [title for title, _ in differences(measured, [("a", "b"), ("a", "c")])] == ["A less B"]
    assert as_texts(measured, ["", "R@1"], [("a", "b")]) == (["", "R@1"], [["A less B", "+0.150 ± 0.635"]])


def test_lines_below_a_row_are_compared_by_their_title_and_costs_are_not():
    cost, other = Column("", "", "seconds_per_step"), Column("grounding", "test", "accuracy@0.5")
    rows = []
    for row, value in (("a", 0.4), ("b", 0.1)):
        rows.append(Line(row, row.upper(), "row", {COLUMN: {0: value}, cost: {0: value}}))
        rows.append(Line(row, "by phrases", "baseline", {COLUMN: {0: 2 * value}}))
    rows.append(Line("b", "CLIP + pixel", "baseline", {other: {0: 0.5}}))
    measured = Table("T", (COLUMN, other, cost), tuple(rows))
    head, texts = as_texts(measured, ["", "R@1", "grounding", "s/step"], [("a", "b")])
    assert head == ["", "R@1"]
    assert texts == [["A less B", "+0.300"], ["A less B, by phrases", "+0.600"]]
