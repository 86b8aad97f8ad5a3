import pytest
import torch
from transformers import SwinConfig, SwinModel

from pretrain.export.timm_layout import timm_arguments, to_timm
from pretrain.export.timm_reader import swin_features


@pytest.mark.parametrize(
    "shape",
    [
        {"image_size": 32, "depths": [2, 2], "num_heads": [1, 2], "window_size": 4},  # with shifted windows
        {"image_size": 24, "depths": [1, 1], "num_heads": [2, 2], "window_size": 3, "qkv_bias": False},
    ],
)
def test_features_are_those_of_transformers(shape):
    torch.manual_seed(0)
    tower = SwinModel(SwinConfig(patch_size=4, embed_dim=8, **shape)).eval()
    for parameter in tower.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    pixels = torch.randn(2, 3, shape["image_size"], shape["image_size"])
    weights, arguments = to_timm(tower.state_dict()), timm_arguments(tower.config)
    with torch.no_grad():
        expected = tower(pixels).pooler_output
        torch.testing.assert_close(swin_features(weights, arguments, pixels), expected, atol=1e-4, rtol=1e-4)
        with pytest.raises(ValueError, match="timm's Swin has no stray"):
            swin_features(weights | {"stray": torch.zeros(1)}, arguments, pixels)
        del weights["norm.weight"]
        with pytest.raises(KeyError):
            swin_features(weights, arguments, pixels)
