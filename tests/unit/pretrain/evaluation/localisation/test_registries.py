import pytest
import torch

from data_filters.errors import InputError
from pretrain.evaluation.localisation import PROPOSERS, choose_proposer
from pretrain.evaluation.localisation.proposal_options import proposal_options
from pretrain.evaluation.token_encoder import TokenEncoder


def test_a_way_is_chosen_by_name(export, region_export):
    without, having = TokenEncoder(export), TokenEncoder(region_export)
    assert choose_proposer(None, without)[0] == "attribution"
    assert choose_proposer(None, having)[0] == "regions"
    with pytest.raises(InputError, match=f"allowed are {', '.join(PROPOSERS)}"):
        choose_proposer("guess", having)
    with pytest.raises(InputError, match=r"no region_head\.safetensors"):
        PROPOSERS["regions"](without, torch.zeros(1, 3, 16, 16), torch.zeros(1, 16), proposal_options({}), 1)
