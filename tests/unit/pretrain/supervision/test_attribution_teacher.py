"""The teacher makes targets from its first step on, and the student learns them."""

import pytest
from small_tasks import at_step, falls, module, recipe, six_pairs, train

from pretrain.data.samples.batch import Batch

TEACHER = {"phrase_attribution": {"images": 3, "evaluations": 20, "trust": 0.0}}


@pytest.fixture
def batch() -> Batch:
    return six_pairs()


def test_the_teacher_waits_for_its_first_step(batch):
    options = {"phrase_attribution": TEACHER["phrase_attribution"] | {"first_step": 2}}
    model = module(recipe({"contrastive": {}} | options))
    waits = ["attribution_box_loss" not in model(batch, at_step(step)) for step in range(4)]
    assert waits == [True, True, False, False]
    again = module(recipe({"contrastive": {}} | options))
    assert "attribution_box_loss" in again(batch, at_step(2)), "a resumed run does not wait again"


def test_alignment_and_the_distilled_regions_are_learned(batch):
    history = train(module(recipe({"fine_grained": {}} | TEACHER)), batch, 40)
    assert falls(history, "fine_grained_divergence", to=0.9)
    assert falls(history, "phrase_attribution_loss", to=0.9)
