"""The dual encoder against the stock model it must export to, and the players that it can drop."""

import pytest
import torch
from transformers import (
    FocalNetConfig,
    SwinConfig,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
    ViTConfig,
)

from data_filters.errors import InputError
from pretrain.model_config import ModelConfig
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.image_kinds import map_shape

TEXT = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32}
SWIN = {"image_size": 32, "width": 16, "depths": [1, 1], "heads": [2, 2], "window": 4}
VIT = {"kind": "vit", "image_size": 32, "patch_size": 8, "width": 16, "depths": [2], "heads": [2]}
FOCALNET = {"kind": "focalnet", "image_size": 32, "width": 16, "depths": [1, 1]}


def encoder(image: dict) -> DualEncoder:
    torch.manual_seed(0)
    return DualEncoder(ModelConfig(image=image, text=TEXT, projection_dim=8), vocabulary_size=40).eval()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(3, 3, 32, 32, generator=generator)
    ids = torch.randint(5, 40, (3, 6), generator=generator)
    mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 3 + [0] * 3])
    return pixels, ids, mask


@pytest.mark.parametrize(("image", "grid"), [(SWIN, (4, 4)), (VIT, (4, 4)), (FOCALNET, (4, 4))])
def test_equals_the_stock_model(image, grid, batch):
    model = encoder(image)
    pixels, ids, mask = batch
    configs = model.vision_model.config, model.text_model.config
    stock = VisionTextDualEncoderModel(
        VisionTextDualEncoderConfig.from_vision_text_configs(*configs, projection_dim=8)
    ).eval()
    weights = {name: value for name, value in model.state_dict().items() if name != "logit_scale"}
    missing = stock.load_state_dict(weights, strict=False)
    assert missing.missing_keys == ["logit_scale"]
    assert missing.unexpected_keys == []
    with torch.no_grad():
        expected = stock(input_ids=ids, pixel_values=pixels, attention_mask=mask)
        images, patches = model.encode_image(pixels)
        texts, words = model.encode_text(ids, mask)
    torch.testing.assert_close(images, expected.image_embeds)
    torch.testing.assert_close(texts, expected.text_embeds)
    assert model.grid == grid
    assert patches.shape == (3, 16, 8)
    assert words.shape == (3, 6, 8)
    assert torch.allclose(patches.norm(dim=-1), torch.ones(3, 16), atol=1e-5)


@pytest.mark.parametrize("image", [SWIN, VIT])
def test_an_absent_cell_hides_its_pixels_and_only_them(image, batch):
    model = encoder(image)
    pixels, _, _ = batch
    keep = torch.ones(3, 16)
    keep[:, 5] = 0  # row 1, column 1: pixels 8..15 both ways
    inside, outside = pixels.clone(), pixels.clone()
    inside[:, :, 8:16, 8:16] += 1.0
    outside[:, :, 16:24, 16:24] += 1.0
    with torch.no_grad():
        base = model.encode_image(pixels, keep)[0]
        torch.testing.assert_close(model.encode_image(inside, keep)[0], base)
        assert (model.encode_image(outside, keep)[0] - base).abs().max() > 1e-4
        torch.testing.assert_close(model.encode_image(pixels, torch.ones(3, 16)), model.encode_image(pixels))


def test_of_an_absent_cell_of_a_focalnet_neighbours_see_the_edge(batch):
    model = encoder(FOCALNET)
    pixels, _, _ = batch
    keep = torch.ones(3, 16)
    keep[:, 5] = 0  # pixels 8..15 both ways; the neighbours' convolutions reach 8, 14 and 15
    inside, edge = pixels.clone(), pixels.clone()
    inside[:, :, 9:14, 9:14] += 1.0
    edge[:, :, 15, 9:14] += 1.0
    with torch.no_grad():
        base = model.encode_image(pixels, keep)[0]
        torch.testing.assert_close(model.encode_image(inside, keep)[0], base)
        assert (model.encode_image(edge, keep)[0] - base).abs().max() > 1e-4


def test_an_absent_word_does_not_matter(batch):
    model = encoder(SWIN)
    _, ids, mask = batch
    keep = torch.ones(3, 6)
    keep[:, 2] = 0
    other = ids.clone()
    other[:, 2] = 7
    with torch.no_grad():
        torch.testing.assert_close(model.encode_text(ids, mask, keep), model.encode_text(other, mask, keep))
        assert (model.encode_text(ids, mask)[0] - model.encode_text(ids, mask, keep)[0]).abs().max() > 1e-5


def test_a_soft_mask_has_a_gradient_and_leaves_no_hook_behind(batch):
    model = encoder(SWIN)
    keep = torch.full((3, 16), 0.5, requires_grad=True)
    model.encode_image(batch[0], keep)[0].sum().backward()
    assert keep.grad.abs().sum() > 0
    assert not any(module._forward_hooks for module in model.modules())


def test_compiled_towers_drop_players_too(batch):
    pixels, ids, mask = batch
    plain, compiled = encoder(SWIN), encoder(SWIN)
    for tower in (compiled.vision_model, compiled.text_model):
        tower.compile(backend="eager")
    cells, words = torch.zeros(3, 16), torch.ones(3, 6)
    cells[:, :3], words[:, 1] = 1, 0
    with torch.no_grad():
        for one in (None, cells):
            torch.testing.assert_close(compiled.encode_image(pixels, one), plain.encode_image(pixels, one))
        for one in (None, words):
            torch.testing.assert_close(
                compiled.encode_text(ids, mask, one), plain.encode_text(ids, mask, one)
            )


def test_padding_does_not_reach_the_embedding(batch):
    model = encoder(SWIN)
    _, ids, mask = batch
    with torch.no_grad():
        long = model.encode_text(ids[2:], mask[2:])[0]
        short = model.encode_text(ids[2:, :3], mask[2:, :3])[0]
    torch.testing.assert_close(long, short)


@pytest.mark.parametrize(
    ("config", "grid", "patches_per_cell"),
    [
        (SwinConfig(), (7, 7), 8),  # 224 px, patches of 4 px, merged three times
        (SwinConfig(image_size=[384, 384], patch_size=(4, 4)), (12, 12), 8),
        (ViTConfig(), (14, 14), 1),  # 224 px, patches of 16 px
        (ViTConfig(image_size=(64, 64), patch_size=8), (8, 8), 1),
        (FocalNetConfig(), (7, 7), 8),
    ],
)
def test_the_map_of_published_shapes(config, grid, patches_per_cell):
    assert map_shape(config) == (grid, patches_per_cell)


def test_an_oblong_image_is_refused():
    with pytest.raises(InputError, match="image_size of the image tower is 224 × 192; allowed are squares"):
        map_shape(ViTConfig(image_size=(224, 192)))


def test_a_checkpoint_that_is_not_there_is_one_clear_line():
    config = ModelConfig(image={"pretrained": "/nowhere/at/all"}, text=TEXT)
    with pytest.raises(InputError, match="model.image.pretrained is '/nowhere/at/all'"):
        DualEncoder(config, 40)
