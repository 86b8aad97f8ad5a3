"""The demo's settings name what there is."""

from cluster.demo import CURATION_RECIPE, EVALUATIONS, PRETRAINING_RECIPE
from cluster.recipes import shipped_recipes
from cluster.shipped import CURATION, PRETRAINING
from pretrain.evaluation.tasks import TASKS


def test_recipes_are_shipped_and_tasks_are_known():
    assert CURATION_RECIPE in shipped_recipes(CURATION)
    assert PRETRAINING_RECIPE in shipped_recipes(PRETRAINING)
    assert {task for task, _, _ in EVALUATIONS.values()} <= set(TASKS)
    assert {split for _, split, _ in EVALUATIONS.values()} == {"test", "unseen"}
