import pytest

from data_filters.errors import InputError
from pretrain.evaluation.runner import check_options
from pretrain.evaluation.task import Evaluation
from pretrain.evaluation.tasks import TASKS, get_task
from pretrain.evaluation.tasks.retrieval import Retrieval
from pretrain.evaluation.token_encoder import TokenEncoder


def test_tasks_are_found_by_name():
    assert get_task("retrieval") is TASKS["retrieval"]
    assert isinstance(get_task("retrieval"), Retrieval)
    with pytest.raises(InputError, match=", ".join(TASKS)):
        get_task("chess")


@pytest.mark.parametrize("name", list(TASKS))
def test_what_tables_and_the_console_show_is_named(name):
    task = TASKS[name]
    assert task.remark.endswith(".")
    assert set(task.columns) <= {*task.headlines.values()}  # what an ablation compares, the console shows
    assert task.chief is None or task.chief in task.columns


OTHER = {
    "gallery": 3,
    "scoring": "late_interaction",
    "token_share": 0.5,
    "templates": "photo",
    "classes": "names.json",
    "train": "elsewhere",
    "features": "embedding",
    "refinements": 1,
    "max_iterations": 7,
    "box": "hull",
    "level": 0.125,
    "evaluations": 8,
    "ridge": 0.5,
    "clusters": 3,
    "regions": 5,
    "suppress_above": 0.25,
    "contrast": 0.3,
    "gap": 2,
    "superpixel_scale": 50.0,
    "least_area": 0.01,
    "proposals": "pixel",
    "embedding": "patches",
    "cover": "touched",
    "fill": "median",
    "pooling": "max_pooled",
    "images": "pictures",
    "calibration": "cosine",
    "split": "val",
    "keys": "a,b",
    "scale": 3.0,
    "budget": 128,
    "keep": 0.5,
    "seed": 7,
    "size_exponent": 0.5,
    "kinds": ("name",),
}
NO_EFFECT = {"batch_size", "device", "examples", "chunk"}


@pytest.mark.parametrize("name", list(TASKS))
def test_every_option_that_decides_numbers_is_recorded(name, region_export):
    task, encoder = TASKS[name], TokenEncoder(region_export)

    def settings(**options):
        return task.settings(Evaluation(region_export, "data", check_options(name, options), encoder))

    for option in set(task.options.model_fields) - NO_EFFECT:
        with_option = {option: OTHER[option]}
        common = {"scoring": "late_interaction"} if option == "token_share" else {}
        assert settings(**common, **with_option) != settings(**common), option
    assert {*settings()} <= {*task.setting_names()}
