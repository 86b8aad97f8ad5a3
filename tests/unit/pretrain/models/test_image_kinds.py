"""Image towers of every kind against their stock classes: patch tokens, the map, cells that can be dropped."""

import pytest
import torch
from published import IMAGE_TOWERS, SIDE, image_tower
from torch.nn import functional as F
from transformers import AutoModel, ConvNextConfig, Dinov2Config, SiglipVisionConfig, SwinConfig, ViTConfig

from data_filters.errors import InputError
from pretrain.model_config import ModelConfig
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.image_kinds import IMAGE_KINDS, image_kind, map_shape

TEXT = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32}
FIRST = {
    "vit": 1,
    "dinov2": 1,
    "dinov2_with_registers": 4,
    "dinov3_vit": 3,
    "deit": 2,
    "clip_vision_model": 1,
}
"""Tokens before those of patches in the towers of `published`: class token, registers, distillation token."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    return {kind: image_tower(tmp_path_factory.mktemp("towers") / kind, kind) for kind in IMAGE_TOWERS}


def encoder(folder: str) -> DualEncoder:
    torch.manual_seed(0)
    image = {"pretrained": folder, "image_size": SIDE}
    return DualEncoder(ModelConfig(image=image, text=TEXT, projection_dim=8), vocabulary_size=40).eval()


def test_every_kind_is_tested():
    assert set(IMAGE_TOWERS) == set(IMAGE_KINDS)


@pytest.mark.parametrize("kind", IMAGE_TOWERS)
def test_tokens_are_the_stock_towers_patches_row_by_row(kind, folders):
    model, stock = encoder(folders[kind]), AutoModel.from_pretrained(folders[kind]).eval()
    pixels = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        output = stock(pixel_values=pixels)
        tokens = output.last_hidden_state
        if kind.startswith("convnext"):
            tokens = stock.layernorm(
                torch.stack([tokens[:, :, row, column] for row in range(4) for column in range(4)], 1)
            )
        tokens = tokens[:, FIRST.get(kind, 0) :]
        if kind == "clip_vision_model":
            tokens = stock.post_layernorm(tokens)
        expected = F.normalize(tokens @ model.visual_projection.weight.T, dim=-1)
        pooled = F.normalize(output.pooler_output @ model.visual_projection.weight.T, dim=-1)
        image, patches = model.encode_image(pixels)
    assert model.grid == (4, 4)
    assert patches.shape == (2, 16, 8)
    torch.testing.assert_close(patches, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(image, pooled, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [kind for kind in IMAGE_TOWERS if kind != "focalnet"])
def test_a_dropped_cell_hides_its_pixels_and_only_them(kind, folders):
    model = encoder(folders[kind])
    pixels = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    keep = torch.ones(2, 16)
    keep[:, 6] = 0  # row 1, column 2: pixels 8..15 down, 16..23 across
    inside, outside = pixels.clone(), pixels.clone()
    inside[:, :, 8:16, 16:24] += 1.0
    outside[:, :, 16:24, 8:16] += 1.0  # the cell of the transposed place
    with torch.no_grad():
        dropped = model.encode_image(pixels, keep)
        torch.testing.assert_close(model.encode_image(inside, keep), dropped)
        assert (model.encode_image(outside, keep)[0] - dropped[0]).abs().max() > 1e-4
        assert (model.encode_image(pixels)[0] - dropped[0]).abs().max() > 1e-4
        torch.testing.assert_close(model.encode_image(pixels, torch.ones(2, 16)), model.encode_image(pixels))


@pytest.mark.parametrize(
    ("config", "size", "shape"),
    [
        (ViTConfig(), None, ((14, 14), 1)),
        (SwinConfig(image_size=[384, 384]), None, ((12, 12), 8)),
        (Dinov2Config(image_size=518, patch_size=14), 224, ((16, 16), 1)),
        (ConvNextConfig(), 224, ((7, 7), 8)),
        (ConvNextConfig(), 384, ((12, 12), 8)),
    ],
)
def test_the_map_follows_from_config_and_image_size(config, size, shape):
    assert map_shape(config, size) == shape


def test_what_has_no_known_map_or_pooled_output_is_refused():
    with pytest.raises(InputError, match="takes multiples of 14; set model.image.image_size=224"):
        map_shape(Dinov2Config(image_size=518, patch_size=14), 225)
    with pytest.raises(InputError, match="the field is a siglip_vision_model without its pooling head"):
        image_kind(SiglipVisionConfig(vision_use_head=False), "the field")
