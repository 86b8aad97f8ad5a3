import json

import pytest
from pydantic import Field

from data_filters.errors import InputError
from pretrain.evaluation.options import EvaluationOptions
from pretrain.evaluation.task import EvaluationTask
from pretrain.evaluation.tasks import TASKS
from pretrain.report.funnel import data_funnel
from pretrain.report.sources import Run, read_curations, read_evaluations, short_names


@pytest.fixture
def folder(tmp_path):
    """Writes an evaluation and returns its folder."""

    def write(name: str, **metrics) -> str:
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps({"task": "grounding"} | metrics))
        return str(tmp_path / name)

    return write


def test_data_goes_by_the_last_parts_that_tell_it_apart():
    assert short_names(["s3://a/test", "s3://a/unseen/"]) == {
        "s3://a/test": "test",
        "s3://a/unseen/": "unseen",
    }
    assert short_names(["s3://a/test", "s3://b/test"]) == {"s3://a/test": "a/test", "s3://b/test": "b/test"}
    assert short_names(["test", "b/test"]) == {"test": "test", "b/test": "b/test"}


def test_methods_say_what_tells_evaluations_apart_and_no_more(folder):
    common = {"data": "x/test", "proposals": "attribution", "embedding": "alone"}
    found = read_evaluations(
        [
            folder("a", **common, options=["box=spread", "level=None"]),
            folder("b", **common, options=["box=hull", "level=None"]),
            folder("c", **{**common, "proposals": "pixel"}, options=["box=spread", "level=None"]),
        ]
    )
    assert [evaluation.method for evaluation in found] == [
        "attribution, box=spread",
        "attribution, box=hull",
        "pixel",
    ]
    assert found[2].name == "test, pixel"


class CountingOptions(EvaluationOptions):
    level: float = Field(0.5, description="brightness of an object")


class Counting(EvaluationTask[CountingOptions, None]):
    options = CountingOptions

    def measure(self, evaluation):
        return None

    def summary(self, evaluation, measured):
        return {}


def test_two_evaluations_of_a_new_task_are_told_apart_by_its_options(folder, monkeypatch):
    monkeypatch.setitem(TASKS, "counting", Counting())
    common = {"task": "counting", "data": "x", "gallery": 8}
    found = read_evaluations(
        [folder("a", **common, level=0.25, exact=0.5), folder("b", **common, level=0.75, exact=0.625)]
    )
    assert [evaluation.method for evaluation in found] == ["level 0.25", "level 0.75"]


def test_two_evaluations_of_a_task_that_is_not_known_are_told_apart_by_their_texts(folder):
    common = {"task": "counting", "data": "x", "exact": 0.5}
    found = read_evaluations([folder("a", **common, thing="cup"), folder("b", **common, thing="dog")])
    assert [evaluation.method for evaluation in found] == ["thing cup", "thing dog"]


def test_two_exports_are_told_apart(folder):
    found = read_evaluations(
        [folder("a", data="x", export="runs/one/export"), folder("b", data="x", export="runs/two/export")]
    )
    assert [evaluation.method for evaluation in found] == ["one/export", "two/export"]


def test_a_result_without_a_task_is_refused(tmp_path):
    (tmp_path / "metrics.json").write_text('{"top1": 0.5}')
    with pytest.raises(InputError, match="names no task"):
        read_evaluations([str(tmp_path)])


def test_curations_are_those_of_the_run_s_shards(tmp_path):
    funnel = {"samples": 10, "quarantined": 0, "kept": 8, "filters": []}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / "report.json").write_text(json.dumps({"input": "raw/one", "funnel": funnel}))
    shards = [
        {"uri": str(tmp_path / name / f"{number}.tar"), "samples": 4, "sha256": ""}
        for name, number in (("one", 0), ("two", 0), ("one", 1))
    ]
    run = Run(tmp_path, {"config": {}, "shards": shards, "data": "one=3, two=1"}, [])
    found = read_curations([], run)
    assert [(one.uri, one.report is None) for one in found] == [
        (str(tmp_path / "one"), False),
        (str(tmp_path / "two"), True),
    ]
    page = data_funnel(found, run)
    assert "12 pairs in 3 shards of one=3, two=1." in page
    assert "raw/one" in page
    assert f"{tmp_path / 'two'} has no report of its curation" in page


def test_a_given_curation_stands_instead_and_must_be_one(tmp_path):
    run = Run(tmp_path, {"config": {}, "shards": []}, [])
    with pytest.raises(InputError, match="curation is"):
        read_curations([str(tmp_path)], run)
    assert read_curations([], run) == []
    assert read_curations([], None) == []
