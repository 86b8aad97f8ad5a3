from pathlib import Path

from pretrain.report.rows import best_cells, columns_of, grouped, name_columns, percent, union
from pretrain.report.sources import Evaluation


def evaluated(data: str, way: str = "") -> Evaluation:
    return Evaluation(Path("there"), {"task": "grounding"}, data, way)


def test_groups_keep_the_order_in_which_they_came():
    evaluations = [evaluated("b", "1"), evaluated("a", "2"), evaluated("b", "3")]
    groups = grouped(evaluations, lambda evaluation: evaluation.data)
    assert {key: [one.method for one in group] for key, group in groups.items()} == {
        "b": ["1", "3"],
        "a": ["2"],
    }
    assert list(groups) == ["b", "a"]
    assert union([["x", "y"], ["z", "x"]]) == ["x", "y", "z"]


def test_methods_have_a_column_where_there_are_any():
    assert name_columns([evaluated("a"), evaluated("b")]) == (["data"], [["a"], ["b"]])
    assert name_columns([evaluated("a"), evaluated("b", "w")]) == (
        ["data", "method"],
        [["a", ""], ["b", "w"]],
    )


def test_a_column_is_in_percent_when_all_of_it_are_fractions():
    rows = [{"a": 0.5, "b": 0.5}, {"b": 1.5}, {"a": 1}]
    assert columns_of(rows, ["a", "b"]) == [["50.0", "0.5"], ["–", "1.5"], ["100.0", "–"]]
    assert percent(0.12345) == "12.3"


def test_the_best_of_each_kind_is_marked_where_values_differ():
    rows = [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 2.0}, {"a": 9.0}, {"a": 3.0}]
    kinds = ["x", "x", "y", "x"]
    # Column a: 3 twice among x, y has no choice; column b: equal values.
    assert best_cells(rows, ["a", "b"], kinds, 2) == {(1, 2), (3, 2)}
