"""Published towers and whole models as they are loaded: halves, precision, projections, what is missing."""

import pytest
import torch
from published import IMAGE_TOWERS, TOKENS, image_tower, tokenizer, whole_model
from transformers import AutoModel, ViTModel

from data_filters.errors import InputError
from pretrain.model_config import ModelConfig
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.published_towers import published_space, published_tower, space_width

TEXTS = ["the red dog 7", "blue"]


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_a_whole_model_starts_with_the_published_logits(kind, tmp_path):
    folder = whole_model(tmp_path / kind, kind)
    config = ModelConfig(pretrained=folder, projection_dim=space_width(folder))
    model, stock = DualEncoder(config, 31).eval(), AutoModel.from_pretrained(folder).eval()
    pixels = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    padded = tokenizer(kind)(TEXTS, padding="max_length", max_length=TOKENS, return_tensors="pt")
    short = tokenizer(kind)(TEXTS, padding=True, return_attention_mask=True, return_tensors="pt")
    with torch.no_grad():
        expected = stock(**padded, pixel_values=pixels).logits_per_image
        texts, words = model.encode_text(short["input_ids"], short["attention_mask"])
        own = model.logit_scale.exp() * model.encode_image(pixels)[0] @ texts.T
        keep = torch.ones(short["input_ids"].shape)
        torch.testing.assert_close(
            model.encode_text(short["input_ids"], short["attention_mask"], keep), (texts, words)
        )
    torch.testing.assert_close(own + (model.first_logit_bias or 0.0), expected, atol=1e-5, rtol=0)
    assert words.shape[:2] == short["input_ids"].shape
    assert model.projects == (kind == "clip")
    assert model.first_logit_bias == (None if kind == "clip" else -3.0)


def test_half_of_a_clip_is_a_tower(tmp_path):
    folder = whole_model(tmp_path / "clip", "clip")
    whole = AutoModel.from_pretrained(folder)
    for half, tower in (("vision_config", whole.vision_model), ("text_config", whole.text_model)):
        loaded = published_tower(folder, "field", half)
        assert type(loaded) is type(tower)
        assert all(loaded.state_dict()[name].equal(value) for name, value in tower.state_dict().items())


def test_weights_of_half_precision_become_fp32(tmp_path):
    tower = IMAGE_TOWERS["vit"]().half()
    tower.save_pretrained(tmp_path / "half")
    loaded = published_tower(str(tmp_path / "half"), "field", "vision_config")
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    assert loaded.config.dtype == torch.float32
    assert loaded.training


def test_weights_that_a_checkpoint_lacks_are_named(tmp_path, caplog):
    ViTModel(IMAGE_TOWERS["vit"]().config, add_pooling_layer=False).save_pretrained(tmp_path / "vit")
    published_tower(str(tmp_path / "vit"), "model.image.pretrained", "vision_config")
    assert "2 tensors have random values (pooler.dense.bias, pooler.dense.weight)" in caplog.text
    with pytest.raises(InputError, match="train.from_step null would keep random ones for ever"):
        published_tower(str(tmp_path / "vit"), "model.image.pretrained", "vision_config", locked=True)


def test_a_temperature_above_the_limit_is_said(tmp_path, caplog):
    folder = whole_model(tmp_path / "clip", "clip")
    DualEncoder(ModelConfig(pretrained=folder, projection_dim=24, max_logit_scale=10.0), 31)
    assert (
        "has an inverse temperature of 12.2, which the first step lowers to model.max_logit_scale 10.0"
        in caplog.text
    )


def test_a_space_is_that_of_a_whole_model(tmp_path):
    space = published_space(whole_model(tmp_path / "siglip", "siglip"))
    assert (space.visual_projection, space.text_projection, space.logit_bias) == (None, None, -3.0)
    assert space.logit_scale == pytest.approx(2.5)
    with pytest.raises(InputError, match="is a vit; allowed are whole dual encoders: clip, siglip"):
        space_width(image_tower(tmp_path / "vit", "vit"))
    uneven = AutoModel.from_pretrained(tmp_path / "siglip").config
    uneven.text_config.projection_size = 8
    uneven.save_pretrained(tmp_path / "uneven")
    with pytest.raises(InputError, match="embeds images in 16 dimensions and texts in 8"):
        space_width(str(tmp_path / "uneven"))
