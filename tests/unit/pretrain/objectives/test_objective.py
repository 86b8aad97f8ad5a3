"""The registry of objectives: each returns its loss under its name, and each of its needs exists."""

import pytest
from small_tasks import at_step, module, recipe, six_pairs

from pretrain.objectives import OBJECTIVES
from pretrain.objectives.objective import LOGIT_BIAS
from pretrain.supervision import SUPPLIERS


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_alone_gives_its_loss_under_its_name(name):
    model = module(recipe({name: {"weight": 2.0}}))
    values = model(six_pairs(), at_step(0))
    assert values[f"{name}_loss"].ndim == 0
    assert values["loss"].item() == pytest.approx(2 * values[f"{name}_loss"].item())
    assert (model.logit_bias is not None) == (LOGIT_BIAS in OBJECTIVES[name].needs)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_need_is_a_supplier_or_the_logit_bias(name):
    assert set(OBJECTIVES[name].needs) <= {*SUPPLIERS, LOGIT_BIAS}
    assert OBJECTIVES[name].options().weight == 1.0
