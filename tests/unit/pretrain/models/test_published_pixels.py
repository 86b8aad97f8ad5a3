"""The image processor beside a published tower says how its pixels are made."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import SwinConfig, SwinModel, ViTConfig, ViTModel
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from data_filters.errors import InputError
from pretrain.data.samples.batch import normalised
from pretrain.data.samples.images import Augmentation, crop
from pretrain.models.published_pixels import published_pixels

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def tower(tmp_path_factory) -> Path:
    """A tiny stock ViT without an image processor."""
    folder = tmp_path_factory.mktemp("vit")
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    ViTModel(ViTConfig(image_size=32, patch_size=16, **shape)).save_pretrained(folder)
    return folder


def save_processor(tower: Path, **settings: object) -> ViTImageProcessorPil:
    processor = ViTImageProcessorPil(size={"height": 32, "width": 32}, **settings)
    processor.save_pretrained(tower)
    return processor


@pytest.mark.parametrize(
    "settings",
    [
        {"image_mean": list(MEAN), "image_std": list(STD)},
        {"image_mean": list(MEAN), "image_std": list(STD), "resample": 3},
        {"image_mean": 0.3, "image_std": 0.2, "resample": 1},
        {"image_mean": list(MEAN), "image_std": list(STD), "rescale_factor": 1 / 128},
        {"do_normalize": False},
        {},
    ],
    ids=["imagenet", "bicubic", "one number", "rescale factor", "not normalised", "defaults"],
)
def test_pixels_are_those_of_the_stock_processor(settings, tower):
    processor = save_processor(tower, **settings)
    found = published_pixels(str(tower))
    noise = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
    picture = Image.fromarray(noise)
    whole = Augmentation(None, resample=found.resample)
    values = torch.from_numpy(crop(picture, 32, "", whole, np.random.default_rng(0)))
    stock = processor(images=[picture], return_tensors="pt")["pixel_values"][0]
    torch.testing.assert_close(
        normalised(values, torch.float32, found.statistics), stock.float(), atol=1e-6, rtol=1e-6
    )


def test_a_tower_without_a_processor_says_nothing(tmp_path):
    shape = {"embed_dim": 8, "depths": [1], "num_heads": [2], "window_size": 2}
    SwinModel(SwinConfig(image_size=32, patch_size=4, **shape)).save_pretrained(tmp_path)
    assert published_pixels(str(tmp_path)) is None
    assert published_pixels(str(tmp_path / "nowhere")) is None


@pytest.mark.parametrize(
    "wrong", [{"image_mean": [0.5, 0.5]}, {"image_std": [0.5, 0.0, 0.5]}, {"image_mean": ["a", "b", "c"]}]
)
def test_numbers_that_are_not_those_of_three_channels_are_refused(wrong, tower):
    save_processor(tower, image_mean=list(MEAN), image_std=list(STD))
    file = tower / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | wrong))
    with pytest.raises(
        InputError, match="three numbers each, deviations above 0; set model.image.pixel_mean"
    ) as refused:
        published_pixels(str(tower))
    assert "\n" not in str(refused.value)
