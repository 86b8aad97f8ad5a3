import pytest
import torch
from transformers import SwinConfig, SwinModel

from data_filters.errors import InputError
from pretrain.export.timm_layout import REGISTERED, registered_name, timm_arguments, to_timm

SHAPE = {
    "image_size": 32,
    "patch_size": 4,
    "embed_dim": 8,
    "depths": [1, 2],
    "num_heads": [1, 2],
    "window_size": 4,
}


def test_a_published_size_is_known_by_its_name():
    config = SwinConfig(embed_dim=192, depths=[2, 2, 18, 2], num_heads=[6, 12, 24, 48])  # Swin-L, 224 px
    assert registered_name(timm_arguments(config)) == "swin_large_patch4_window7_224"
    assert registered_name(timm_arguments(SwinConfig(**SHAPE))) is None
    assert len(REGISTERED) == 6


def test_no_weight_is_lost_and_query_key_and_value_are_stacked():
    torch.manual_seed(0)
    ours = SwinModel(SwinConfig(**SHAPE)).state_dict()
    theirs = to_timm(ours)
    assert sum(tensor.numel() for tensor in theirs.values()) == sum(
        tensor.numel() for tensor in ours.values()
    )
    place = "encoder.layers.1.blocks.1.attention"
    stacked = torch.cat([ours[f"{place}.{part}_proj.weight"] for part in "qkv"])
    assert torch.equal(theirs["layers.1.blocks.1.attn.qkv.weight"], stacked)
    # timm stores the merging with the stage that follows it.
    merging = ours["encoder.layers.0.downsample.reduction.weight"]
    assert torch.equal(theirs["layers.1.downsample.reduction.weight"], merging)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"hidden_act": "relu"}, "has hidden_act 'relu', where timm's has 'gelu'"),
        ({"image_size": (32, 64)}, "not square ones"),
        ({"window_size": 3}, "no multiple of its window 3"),
    ],
)
def test_what_timm_computes_otherwise_is_refused(changes, said):
    with pytest.raises(InputError, match=said):
        timm_arguments(SwinConfig(**SHAPE | changes))
