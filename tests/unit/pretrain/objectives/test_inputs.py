"""Targets are read by supplier and type; a wrong supplier or type is a programming error and raises at once."""

import pytest
import torch
from small_tasks import module, recipe, six_pairs

from pretrain.objectives.box_value import BoxValues
from pretrain.objectives.inputs import ObjectiveInputs


def test_targets_are_found_by_supplier_and_type():
    features = module(recipe({"contrastive": {}})).encode(six_pairs())
    values = BoxValues(torch.ones(2, 4), torch.ones(2), torch.ones(2, 4))
    inputs = ObjectiveInputs(features, torch.zeros(1), targets={"box_ascent": values, "silent": None})
    assert inputs.targets_of("box_ascent", BoxValues) is values
    assert inputs.targets_of("silent", BoxValues) is None
    assert inputs.required_targets_of("box_ascent", BoxValues) is values
    with pytest.raises(AssertionError):
        inputs.required_targets_of("silent", BoxValues)
    with pytest.raises(AssertionError):
        inputs.targets_of("box_ascent", dict)
    with pytest.raises(KeyError):
        inputs.targets_of("shapley", BoxValues)
