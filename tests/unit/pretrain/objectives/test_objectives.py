"""A recipe's objectives are read, or refused with one line."""

import pytest

from data_filters.errors import InputError
from pretrain.objectives import read_objectives


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contrastiv": {}}, "objectives.contrastiv is unknown; .*did you mean 'contrastive'"),
        ({"contrastive": {"wieght": 1}}, "objectives.contrastive.wieght"),
        ({"contrastive": {"weight": -1}}, "objectives.contrastive.weight is -1"),
        ({"contrastive": {"weight": 0}}, "no weight above 0"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        read_objectives(settings)
