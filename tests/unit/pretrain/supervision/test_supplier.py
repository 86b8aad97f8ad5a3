"""The settings of suppliers, and that a supplier is built only when an objective needs it."""

import pytest
from small_tasks import PAIRS, module, recipe

from pretrain.objectives.box_value import BoxValueOptions
from pretrain.supervision import SUPPLIERS
from pretrain.supervision.config import SupervisionConfig
from pretrain.supervision.supplier import SupplierSetting


def test_options_are_found_by_objective_and_type():
    options = BoxValueOptions(regions=2)
    setting = SupplierSetting(SupervisionConfig(), {"box_value": options}, dim=8, pairs=4, max_tokens=9)
    assert setting.options_of("box_value", BoxValueOptions) is options
    assert SUPPLIERS["box_ascent"].build(setting).options is options


@pytest.mark.parametrize(
    ("objectives", "suppliers"),
    [
        ({"contrastive": {}}, []),
        ({"unsil": {}, "token_semantics": {}}, ["shapley"]),
        (
            {"phrase_attribution": {}, "phrase_contrast": {}, "box_value": {}, "fine_grained": {}},
            list(SUPPLIERS),
        ),
    ],
)
def test_a_task_builds_the_suppliers_that_its_objectives_need(objectives, suppliers):
    task = module(recipe(objectives))
    assert list(task.suppliers) == suppliers
    assert (task.region_generator is None) == (not suppliers)


def test_without_a_budget_every_region_of_the_rank_is_sampled():
    task = module(recipe({"unsil": {}}, budget=None))
    assert task.suppliers["shapley"].hybrid.budget == PAIRS * 4
