"""Towers from a recipe: their shapes by hand, published weights from a folder."""

import json

import pytest
import torch
from transformers import BertConfig, BertModel, FocalNetModel, SwinModel, ViTModel

from data_filters.errors import InputError
from pretrain.model_config import ImageTowerConfig, TextTowerConfig
from pretrain.models.published_towers import ARCHITECTURE, published_architecture
from pretrain.models.towers import build_image_tower, build_text_tower

SWIN = {
    "image_size": 32,
    "patch_size": 4,
    "width": 8,
    "depths": (1, 2),
    "heads": (1, 2),
    "window": 4,
    "mlp_ratio": 3.0,
}
VIT = {
    "kind": "vit",
    "image_size": 32,
    "patch_size": 8,
    "width": 16,
    "depths": (3,),
    "heads": (4,),
    "mlp_ratio": 2.5,
}
FOCALNET = {
    "kind": "focalnet",
    "image_size": 32,
    "patch_size": 4,
    "width": 8,
    "depths": (1, 2),
    "mlp_ratio": 3.0,
    "focal_levels": 1,
    "focal_window": 5,
}
BERT = {"width": 16, "layers": 2, "heads": 4, "feed_forward": 40, "max_tokens": 12, "dropout": 0.25}


def test_a_swin_has_the_shape_of_its_recipe():
    tower = build_image_tower(ImageTowerConfig(**SWIN, drop_path=0.2)).eval()
    assert isinstance(tower, SwinModel)
    assert [len(stage.blocks) for stage in tower.encoder.layers] == [1, 2]
    assert tower.config.num_heads == [1, 2]
    assert (tower.config.window_size, tower.config.drop_path_rate) == (4, 0.2)
    with torch.no_grad():
        out = tower(torch.zeros(2, 3, 32, 32))
    # 8 × 8 patches, merged once: 16 cells of twice the width.
    assert out.last_hidden_state.shape == (2, 16, 16)
    feed_forward = [
        p for n, p in tower.named_parameters() if n.startswith("encoder.layers.1") and p.shape == (48, 16)
    ]
    assert len(feed_forward) == 2  # 3 × 16, once per block


def test_a_focalnet_has_the_shape_of_its_recipe_and_sees_beyond_its_patches():
    tower = build_image_tower(ImageTowerConfig(**FOCALNET, drop_path=0.2)).eval()
    assert isinstance(tower, FocalNetModel)
    assert [len(stage.layers) for stage in tower.encoder.stages] == [1, 2]
    assert (tower.config.focal_levels, tower.config.focal_windows) == ([1, 1], [5, 5])
    assert (tower.config.hidden_size, tower.config.drop_path_rate) == (16, 0.2)
    pixels = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0), requires_grad=True)
    out = tower(pixels)
    assert out.last_hidden_state.shape == (1, 16, 16)
    assert out.pooler_output.shape == (1, 16)
    patches = tower.embeddings(pixels)[0]
    patches[0, 9, 0].backward()  # row 1, column 1 of 8 × 8 patches of 4 px: pixels 2 to 8 of both axes
    assert sorted(set(pixels.grad.abs().sum((0, 1)).nonzero().flatten().tolist())) == list(range(2, 9))


def test_a_vit_has_the_shape_of_its_recipe():
    tower = build_image_tower(ImageTowerConfig(**VIT)).eval()
    assert isinstance(tower, ViTModel)
    assert (tower.config.num_hidden_layers, tower.config.num_attention_heads) == (3, 4)
    assert tower.config.intermediate_size == 40
    with torch.no_grad():
        assert tower(torch.zeros(2, 3, 32, 32)).last_hidden_state.shape == (2, 17, 16)


def test_a_bert_has_the_shape_of_its_recipe():
    tower = build_text_tower(TextTowerConfig(**BERT), 100).eval()
    assert isinstance(tower, BertModel)
    config = tower.config
    assert (config.num_hidden_layers, config.num_attention_heads, config.intermediate_size) == (2, 4, 40)
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.25, 0.25)
    assert tower.get_input_embeddings().weight.shape == (100, 16)
    assert config.max_position_embeddings == 64  # never below 64
    assert (
        build_text_tower(TextTowerConfig(**BERT | {"max_tokens": 90}), 100).config.max_position_embeddings
        == 90
    )


def test_published_weights_come_from_their_folder(tmp_path):
    torch.manual_seed(0)
    for name, tower in (
        ("swin", build_image_tower(ImageTowerConfig(**SWIN))),
        ("vit", build_image_tower(ImageTowerConfig(**VIT))),
        ("focalnet", build_image_tower(ImageTowerConfig(**FOCALNET))),
    ):
        tower.save_pretrained(tmp_path / name)
        loaded = build_image_tower(ImageTowerConfig(pretrained=str(tmp_path / name)))
        assert type(loaded) is type(tower)
        for key, value in tower.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value)


def test_published_towers_train_with_their_dropout_and_stochastic_depth(tmp_path):
    build_text_tower(TextTowerConfig(**BERT), 20).save_pretrained(tmp_path / "bert")
    build_image_tower(ImageTowerConfig(**SWIN, drop_path=0.9)).save_pretrained(tmp_path / "swin")
    for name in ("bert", "swin"):  # as a run stores them
        (tmp_path / f"stored-{name}").mkdir()
        architecture = published_architecture(str(tmp_path / name), "model.text.pretrained")
        (tmp_path / f"stored-{name}" / ARCHITECTURE).write_text(json.dumps(architecture))
    tokens, pixels = torch.arange(12)[None], torch.rand(8, 3, 32, 32)
    for text in ("bert", "stored-bert"):
        tower = build_text_tower(TextTowerConfig(pretrained=str(tmp_path / text)), 20)
        assert not torch.equal(tower(tokens).last_hidden_state, tower(tokens).last_hidden_state), text
    for image in ("swin", "stored-swin"):
        tower = build_image_tower(ImageTowerConfig(pretrained=str(tmp_path / image)))
        assert all(part.training for part in tower.modules())
        assert not torch.equal(tower(pixels).last_hidden_state, tower(pixels).last_hidden_state), image


def test_a_tokenizer_with_more_pieces_than_the_checkpoint_is_refused(tmp_path):
    shape = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(shape).save_pretrained(tmp_path)
    config = TextTowerConfig(pretrained=str(tmp_path))
    assert build_text_tower(config, 50).config.vocab_size == 50
    with pytest.raises(InputError, match="tokenizer has 51 pieces, .* knows 50"):
        build_text_tower(config, 51)


def test_another_architecture_is_refused(tmp_path):
    build_text_tower(TextTowerConfig(**BERT), 20).save_pretrained(tmp_path / "bert")
    build_image_tower(ImageTowerConfig(**VIT)).save_pretrained(tmp_path / "vit")
    with pytest.raises(
        InputError, match="model.image.pretrained .* is a bert, .* allowed are swin, vit, focalnet"
    ):
        build_image_tower(ImageTowerConfig(pretrained=str(tmp_path / "bert")))
    with pytest.raises(InputError, match="model.text.pretrained .* is a vit, .* allowed are bert"):
        build_text_tower(TextTowerConfig(pretrained=str(tmp_path / "vit")), 20)


def test_a_folder_that_is_not_there_is_one_line():
    with pytest.raises(InputError, match="model.text.pretrained is '/nowhere'") as raised:
        build_text_tower(TextTowerConfig(pretrained="/nowhere"), 20)
    assert "\n" not in str(raised.value)
