from typing import ClassVar

import pytest
from pydantic import Field

from pretrain.evaluation.options import EvaluationOptions
from pretrain.evaluation.scores import (
    flat_scores,
    flat_yardsticks,
    label,
    meanings,
    method_of,
    setting_names,
    split_yardstick,
)
from pretrain.evaluation.task import EvaluationTask
from pretrain.evaluation.tasks import TASKS

GROUNDING = {
    "task": "grounding",
    "proposals": "pixel",
    "accuracy@0.5": 0.25,
    "per_kind": {"full": 0.5},
    "grid_bound": 0.7,
    "chance": 0.01,
    "chance_object": 0.4,
    "text_blind": 0.2,
    "count": 7,
    "seconds": 3.5,
}
ALIGNMENT = {
    "task": "alignment",
    "pointing": 0.5,
    "pointing_chance": 0.1,
    "pointing_text_blind": 0.2,
    "scale": 14.3,
}


def test_what_no_model_earned_is_no_score():
    assert flat_scores(GROUNDING) == [("accuracy@0.5", 0.25), ("per kind full", 0.5)]
    baselines = {"grid_bound": 0.7, "chance": 0.01, "chance_object": 0.4, "text_blind": 0.2}
    assert dict(flat_yardsticks(GROUNDING)) == baselines


def test_a_score_may_have_yardsticks_of_its_own():
    assert flat_scores(ALIGNMENT) == [("pointing", 0.5)]
    assert flat_yardsticks(ALIGNMENT) == [("pointing_chance", 0.1), ("pointing_text_blind", 0.2)]


def test_what_was_chosen_or_spent_is_neither():
    probe = {"task": "linear-probe", "top1": 0.5, "inverse_regularisation": 12.5, "seconds": 2.0}
    assert flat_scores(probe) == [("top1", 0.5)]
    assert flat_yardsticks(probe) == []
    aligned = {"task": "alignment", "top1": 0.5, "seconds": 2.0, "scale": 3.0}
    assert flat_scores(aligned) == [("top1", 0.5)]


class CountingOptions(EvaluationOptions):
    level: float = Field(0.5, description="brightness of an object")
    things: str = Field("cup", description="what is counted")


class Counting(EvaluationTask[CountingOptions, None]):
    options = CountingOptions
    recorded_as: ClassVar = {"things": "thing"}
    fitted = ("threshold",)

    def measure(self, evaluation):
        return None

    def summary(self, evaluation, measured):
        return {}


def test_the_options_of_a_new_task_are_no_scores(monkeypatch):
    result = {"task": "counting", "level": 0.25, "thing": "cup", "threshold": 0.75, "exact": 0.5, "things": 3}
    assert flat_scores(result) == [("level", 0.25), ("threshold", 0.75), ("exact", 0.5)]  # not known yet
    assert setting_names(result) == ["task", "thing"]
    monkeypatch.setitem(TASKS, "counting", Counting())
    assert flat_scores(result) == [("exact", 0.5)]
    assert setting_names(result) == ["gallery", "batch_size", "device", "level", "thing"]


def test_a_member_of_a_family_may_have_the_name_of_an_option():
    result = {"task": "alignment", "per_kind": {"scale": 0.5}, "scale": 0.25}
    assert flat_scores(result) == [("per kind scale", 0.5)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("chance", ("", "chance")),
        ("chance_object", ("", "chance_object")),
        ("pointing_chance_object", ("pointing", "chance_object")),
        ("pointing_chance", ("pointing", "chance")),
        ("mischance", None),
        ("accuracy@0.5", None),
    ],
)
def test_yardsticks_by_name(name, expected):
    assert split_yardstick(name) == expected


def test_names_as_a_reader_would_say_them():
    assert label("mean_iou") == "mean IoU"
    assert label("grid_bound") == "grid allows"
    assert label("pointing_word_patch_chance") == "pointing word patch: chance"


def test_only_yardsticks_that_occur_are_explained():
    assert "chance:" in meanings([{"chance": 0.5}])
    assert "whole cells" not in meanings([{"chance": 0.5}])
    assert meanings([{"top1": 0.5}]) == ""


@pytest.mark.parametrize(
    ("result", "method"),
    [
        ({"proposals": "kmeans"}, "kmeans"),
        ({"scoring": "global"}, ""),
        ({"scoring": "late_interaction"}, "late interaction"),
        ({"features": "pooled"}, "pooled"),
        ({}, ""),
    ],
)
def test_the_method_of_a_task(result, method):
    assert method_of(result) == method
