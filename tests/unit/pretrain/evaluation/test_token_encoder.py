import shutil
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    BeitConfig,
    BertConfig,
    VisionTextDualEncoderConfig,
    VisionTextDualEncoderModel,
)

from data_filters.errors import InputError
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.models.region_generator import RegionGenerator


@pytest.fixture
def pictures(shards):
    return [picture.image for picture in islice(SampleStream(shards), 3)]


def test_a_whole_image_is_embedded_as_the_stock_model_does(export, pictures):
    encoder = TokenEncoder(export)
    pixels = encoder.pixels(pictures)
    stock = AutoModel.from_pretrained(export).eval()
    with torch.no_grad():
        expected = torch.nn.functional.normalize(stock.get_image_features(pixel_values=pixels).pooler_output)
        hidden = stock.vision_model(pixel_values=pixels).last_hidden_state[:, 1:]
        tokens = torch.nn.functional.normalize(stock.visual_projection(hidden), dim=-1)
    for place in range(3):
        own = encoder.masked(pixels[place : place + 1], torch.ones(2, 4))
        torch.testing.assert_close(own, expected[place].expand(2, -1), atol=1e-6, rtol=0)
    torch.testing.assert_close(encoder.patches(pixels), tokens, atol=1e-6, rtol=0)
    torch.testing.assert_close(encoder.texts(["a dog"] * 5, chunk=2), encoder.embed_texts(["a dog"] * 5))
    assert encoder.temperature == pytest.approx(float(torch.exp(-stock.logit_scale.detach())))


def test_colors_of_pixels_are_those_of_the_image(export):
    encoder = TokenEncoder(export)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)  # of the tower's size
    pixels = encoder.pixels([Image.fromarray(image)])
    expected = torch.from_numpy(image / 255).permute(2, 0, 1)[None].float()
    assert pixels.amin() < -0.5
    torch.testing.assert_close(encoder.rgb(pixels), expected, atol=1e-6, rtol=0)
    encoder.processor.do_normalize = False
    torch.testing.assert_close(encoder.rgb(encoder.pixels([Image.fromarray(image)])), expected)


def test_what_is_masked_does_not_count(export, pictures):
    encoder = TokenEncoder(export)
    pixels = encoder.pixels(pictures[:1])
    other = pixels.clone()
    other[..., :8, 8:] += 0.7  # the second of 2×2 cells
    keep = torch.tensor([[1.0, 0, 1, 1]])
    torch.testing.assert_close(encoder.masked(pixels, keep), encoder.masked(other, keep))
    seen = torch.ones(1, 4)
    assert (encoder.masked(pixels, seen) - encoder.masked(other, seen)).abs().max() > 1e-4
    many = torch.randint(0, 2, (7, 4), generator=torch.Generator().manual_seed(0)).float()
    torch.testing.assert_close(
        encoder.masked(pixels, many, chunk=3), encoder.masked(pixels, many), atol=1e-6, rtol=0
    )


def test_region_head_is_the_one_that_was_exported(region_export, pictures):
    encoder = TokenEncoder(region_export)
    patches = encoder.patches(encoder.pixels(pictures))
    same = RegionGenerator(16, (2, 2), 1, width=8)
    same.load_state_dict(load_file(f"{region_export}/region_head.safetensors"))
    with torch.no_grad():
        ours, theirs = encoder.region_generator.every_cell(patches), same.every_cell(patches)
    torch.testing.assert_close(ours, theirs)


def test_what_cannot_be_masked_is_refused(export, region_export, tmp_path):
    assert TokenEncoder(export).region_generator is None
    shutil.copytree(region_export, tmp_path / "cut")
    save_file({"out.weight": torch.zeros(5, 8)}, tmp_path / "cut" / "region_head.safetensors")
    with pytest.raises(
        InputError, match="region_head.safetensors: the region generator is not one that this version knows"
    ):
        TokenEncoder(str(tmp_path / "cut"))
    shutil.copytree(
        export, tmp_path / "beit", ignore=shutil.ignore_patterns("model.safetensors", "config.json")
    )
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    towers = BeitConfig(**shape, image_size=16, patch_size=8), BertConfig(**shape, vocab_size=8000)
    config = VisionTextDualEncoderConfig.from_vision_text_configs(*towers, projection_dim=8)
    VisionTextDualEncoderModel(config).save_pretrained(tmp_path / "beit")
    with pytest.raises(InputError, match="is a vision-text-dual-encoder; regions and patches are known for"):
        TokenEncoder(str(tmp_path / "beit"))
