"""Lines of finished cells: what fits a job, what is appended, what is refused."""

import json

import pytest

from cluster.ablation.finished import append_finished, read_finished, result_of
from data_filters.errors import InputError

JOB = {"row": "a", "seed": 1, "identity": "x", "evaluations": [{"name": "said", "identity": "e"}]}


def result(**changes):
    scores = {"said": {"identity": "e", "task": "grounding", "split": "test", "title": None, "scores": {}}}
    costs = {"seconds_per_step": 1.0, "cpu_seconds_per_step": 1.0, "own_steps": 4}
    whole = {"row": "a", "seed": 1, "identity": "x", "steps": 4, "start": None}
    return whole | {"training": costs, "evaluations": scores} | changes


def test_a_result_fits_where_training_and_every_evaluation_are_the_same():
    assert result_of(JOB, [result(seed=2), result()]) == result()
    others = ({"row": "b"}, {"seed": 2}, {"identity": "y"}, {"evaluations": {}})
    assert all(result_of(JOB, [result(**change)]) is None for change in others)
    other = {"said": result()["evaluations"]["said"] | {"identity": "f"}}
    assert result_of(JOB, [result(evaluations=other)]) is None
    older = {"said": {key: value for key, value in other["said"].items() if key != "identity"}}
    assert result_of(JOB, [result(evaluations=older)]) is None
    more = result()["evaluations"] | {"seen": other["said"]}
    assert result_of(JOB, [result(evaluations=more)]) is not None


def test_only_new_results_are_appended(tmp_path):
    file = tmp_path / "deep" / "finished.jsonl"
    assert read_finished(file) == []
    append_finished(file, [result(), result(seed=2)])
    append_finished(file, [result(), result(seed=3)])
    assert [line["seed"] for line in read_finished(file)] == [1, 2, 3]
    append_finished(None, [result()])


@pytest.mark.parametrize(
    "line", ["{", "3", json.dumps({"row": "a"}), json.dumps(result(evaluations=3)), json.dumps(result())[:-9]]
)
def test_a_line_that_is_no_result_is_named(tmp_path, line):
    file = tmp_path / "finished.jsonl"
    file.write_text(json.dumps(result()) + "\n" + line + "\n")
    with pytest.raises(
        InputError, match=r"finished.jsonl, line 2 is no result of a cell \(missing or of another kind: "
    ):
        read_finished(file)
