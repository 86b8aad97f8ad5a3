import pytest

from pretrain.export.scores import flat_scores, flat_yardsticks, meanings, said, split_yardstick, way_of

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
ALIGNMENT = {"pointing": 0.5, "pointing_chance": 0.1, "pointing_text_blind": 0.2, "scale": 14.3}


def test_what_no_model_earned_is_no_score():
    assert flat_scores(GROUNDING) == [("accuracy@0.5", 0.25), ("per kind full", 0.5)]
    held = {"grid_bound": 0.7, "chance": 0.01, "chance_object": 0.4, "text_blind": 0.2}
    assert dict(flat_yardsticks(GROUNDING)) == held


def test_a_score_may_have_yardsticks_of_its_own():
    assert flat_scores(ALIGNMENT) == [("pointing", 0.5)]
    assert flat_yardsticks(ALIGNMENT) == [("pointing_chance", 0.1), ("pointing_text_blind", 0.2)]


def test_what_was_chosen_or_spent_is_neither():
    probe = {"top1": 0.5, "inverse_regularisation": 12.5, "seconds": 2.0, "scale": 3.0}
    assert flat_scores(probe) == [("top1", 0.5)]
    assert flat_yardsticks(probe) == []


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
    assert said("mean_iou") == "mean IoU"
    assert said("grid_bound") == "grid allows"
    assert said("pointing_word_patch_chance") == "pointing word patch: chance"


def test_only_yardsticks_that_occur_are_explained():
    assert "chance:" in meanings([{"chance": 0.5}])
    assert "whole cells" not in meanings([{"chance": 0.5}])
    assert meanings([{"top1": 0.5}]) == ""


@pytest.mark.parametrize(
    ("result", "way"),
    [
        ({"proposals": "kmeans"}, "kmeans"),
        ({"scoring": "global"}, ""),
        ({"scoring": "late_interaction"}, "late interaction"),
        ({"features": "pooled"}, "pooled"),
        ({}, ""),
    ],
)
def test_the_way_a_task_was_done(result, way):
    assert way_of(result) == way
