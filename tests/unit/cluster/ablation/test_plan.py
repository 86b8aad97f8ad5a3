"""What a plan's rows become: merged by hand, ordered, refused where they cannot be."""

import pytest
from pydantic import ValidationError

from cluster.ablation.plan import AblationPlan, assignments
from cluster.recipes import load_recipe, shipped_recipes
from cluster.shipped import ABLATIONS, PRETRAINING
from data_filters.errors import InputError
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


def plan(**changes) -> AblationPlan:
    values = {
        "base": "icon_world",
        "common": {"schedule.steps": 40, "data": {"batch_size": 16}},
        "shared_start": "backbone",
        "rows": {
            "late": {"title": "Late", "start": {"row": "early", "steps": 30}},
            "early": {
                "title": "Early",
                "start": {"steps": 10},
                "overrides": {"objectives": {"contrastive": {"weight": 0.5}}, "supervision.regions": 3},
            },
            "backbone": {"title": "Backbone"},
            "alone": {"title": "Alone", "overrides": {"schedule": {"log_every": 7}}},
        },
        "evaluations": [{"name": "retrieval", "task": "retrieval"}, {"name": "boxes", "task": "detection"}],
    }
    return AblationPlan.model_validate(values | changes)


def with_row(name: str, **row) -> dict:
    return {"rows": {"backbone": {"title": "Backbone"}, name: {"title": name} | row}}


def test_overrides_are_merged_key_by_key_and_objectives_replaced():
    base = load_recipe(DualEncoderConfig, PRETRAINING, "icon_world").model_dump()
    mine = plan().config_of("early").model_dump()
    assert mine.pop("objectives") == {"contrastive": {"weight": 0.5}}
    assert (mine["schedule"].pop("steps"), mine["data"].pop("batch_size")) == (40, 16)
    assert (mine["supervision"].pop("regions"), mine["workers"].pop("count")) == (3, 1)
    for section, key in (
        ("schedule", "steps"),
        ("data", "batch_size"),
        ("supervision", "regions"),
        ("workers", "count"),
    ):
        del base[section][key]
    del base["objectives"]
    assert mine == base


def test_a_dotted_objective_changes_that_one_alone():
    nested = {"objectives": {"a": {"weight": 1}}, "data": {"crop_scale": [1, 1], "flip": True}}
    assert list(assignments(nested)) == [
        (("objectives",), {"a": {"weight": 1}}),
        (("data", "crop_scale"), [1, 1]),
        (("data", "flip"), True),
    ]
    row = {"title": "x", "overrides": {"objectives.hard_negative.margin": 1e-5}}
    objectives = plan(rows={"x": row}, shared_start=None).config_of("x").objectives.model_dump()
    base = load_recipe(DualEncoderConfig, PRETRAINING, "icon_world").objectives.model_dump()
    margin = {"weight": 1.0, "margin": 1e-5, "negatives": "max"}
    assert objectives == base | {"hard_negative": margin}


def test_a_row_comes_after_the_one_it_starts_from_and_brings_it_along():
    assert plan().in_order() == ["backbone", "early", "late", "alone"]
    assert plan().in_order(["alone", "late"]) == ["alone", "backbone", "early", "late"]
    assert plan().in_order(["backbone"]) == ["backbone"]
    with pytest.raises(InputError, match="--rows has 'lat'; the plan's rows are late, early"):
        plan().in_order(["lat"])


def test_steps_that_others_start_from():
    assert plan().shared_steps("backbone") == [10]
    assert plan().shared_steps("early") == [30]
    assert plan().shared_steps("late") == []


def test_a_row_adds_replaces_and_skips_evaluations():
    own = [
        {"name": "boxes", "task": "detection", "options": {"gallery": 3}},
        {"name": "pixel", "task": "detection", "title": "CLIP + pixel"},
    ]
    found = plan(**with_row("x", evaluations=own, skip=["retrieval"])).evaluations_of("x")
    assert [(one.name, one.options) for one in found] == [("boxes", {"gallery": 3}), ("pixel", {})]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shared_start": "bone"}, "shared_start is 'bone'; rows are late"),
        (with_row("x", start={"row": "y", "steps": 3}), "rows.x.start.row is 'y'; other rows are backbone"),
        (with_row("x", start={"row": "x", "steps": 3}), "rows.x.start.row is 'x'; other rows are backbone"),
        (with_row("x", start={"steps": 3}) | {"shared_start": None}, "rows.x.start has no row"),
        (with_row("x", skip=["retreival"]), "rows.x.skip has 'retreival'"),
        (
            with_row("x", evaluations=[{"name": "b", "task": "detection"}]),
            "2 evaluations of detection on test in one",
        ),
        (with_row("../x"), "not a valid folder name"),
        ({"evaluations": [{"name": "a", "task": "retrieval"}] * 2}, "give each a name of its own"),
        (
            {
                "rows": {
                    "a": {"title": "a", "start": {"row": "b", "steps": 5}},
                    "b": {"title": "b", "start": {"row": "a", "steps": 5}},
                },
                "shared_start": None,
            },
            "start later",
        ),
        ({"row": {}}, "Extra inputs"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        plan(**changes)


def test_a_mistake_in_a_row_names_the_row():
    with pytest.raises(
        InputError, match=r"row x: .*unknown key data.batch_sise; did you mean data.batch_size"
    ):
        plan(**with_row("x", overrides={"data": {"batch_sise": 3}})).config_of("x")


@pytest.mark.parametrize("name", shipped_recipes(ABLATIONS))
def test_a_shipped_plan_can_run(name):
    found = load_recipe(AblationPlan, ABLATIONS, name, ["common.schedule.log_every=5"])
    configs = {row: found.config_of(row) for row in found.in_order()}
    for config in configs.values():
        assert config.schedule.log_every == 5
    assert (
        len({config.schedule.steps for row, config in configs.items() if found.rows[row].steps is None}) == 1
    )
    assert len({config.model for config in configs.values()}) == 1


def test_a_row_of_a_plan_can_be_set():
    found = load_recipe(AblationPlan, ABLATIONS, "icon_world", ["rows.tsa.start.steps=5"])
    assert found.start_of("tsa") == ("clip", 5)
    with pytest.raises(InputError, match=r"unknown key rows.tsa.titel; did you mean rows.tsa.title"):
        load_recipe(AblationPlan, ABLATIONS, "icon_world", ["rows.tsa.titel=x"])
