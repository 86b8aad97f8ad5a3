"""The matcher's model: of a recipe, of a stock BLIP of any kind, and what is refused."""

import json
import logging

import pytest
import torch
from tiny_matcher import MODEL, PIECES, VOCABULARY, tiny_blip, tiny_vit
from transformers import BlipForConditionalGeneration, BlipForImageTextRetrieval

from data_filters.errors import InputError
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.matcher_model_config import MatcherModelConfig
from pretrain.models.matcher import build_matcher


def model_config(**values) -> MatcherModelConfig:
    return MatcherModelConfig.model_validate(MODEL | values)


def built(folder: str, **values) -> BlipForImageTextRetrieval:
    return build_matcher(model_config(pretrained=folder, **values), len(PIECES), load_tokenizer("loupe"))


def test_a_recipes_shape_is_that_of_the_stock_model():
    tokenizer = load_tokenizer("loupe")
    model = build_matcher(model_config(), VOCABULARY, tokenizer)
    assert type(model) is BlipForImageTextRetrieval
    image, text = model.config.vision_config, model.config.text_config
    assert (image.image_size, image.patch_size, image.hidden_size, image.intermediate_size) == (16, 8, 16, 64)
    assert (text.vocab_size, text.hidden_size, text.encoder_hidden_size) == (VOCABULARY, 16, 16)
    assert (text.pad_token_id, text.bos_token_id) == (tokenizer.pad_token_id, tokenizer.cls_token_id)
    assert (model.vision_proj.out_features, model.text_proj.out_features) == (8, 8)
    assert model.itm_head.out_features == 2
    assert model.training


def test_a_retrieval_checkpoint_is_taken_over_whole_without_a_word(tmp_path, caplog):
    folder = tiny_blip(tmp_path / "blip")
    with caplog.at_level(logging.WARNING):
        model = built(folder)
    assert not caplog.records
    assert model.training
    stock = BlipForImageTextRetrieval.from_pretrained(folder).state_dict()
    assert all(torch.equal(value, stock[name]) for name, value in model.state_dict().items())


def test_of_a_captioner_the_image_encoder_is_taken_over_and_the_rest_is_named(tmp_path, caplog):
    folder = tiny_blip(tmp_path / "blip", "captioning")
    model = built(folder)
    stock = BlipForConditionalGeneration.from_pretrained(folder).state_dict()
    own = model.state_dict()
    taken = {name for name in own if name in stock}
    assert taken == {name for name in own if name.startswith("vision_model.")}
    assert all(torch.equal(own[name], stock[name]) for name in taken)
    missing, unexpected = (record.getMessage() for record in caplog.records)
    assert (
        f"{len(own.keys() - stock.keys())} tensors keep random weights (itm_head.bias, itm_head.weight,"
        in missing
    )
    assert "tensors are not taken over (text_decoder.bert." in unexpected


def test_a_folder_that_a_run_stored_gives_the_shape_alone(tmp_path):
    folder = tiny_blip(tmp_path / "blip")
    stored = tmp_path / "stored"
    stored.mkdir()
    (stored / "architecture.json").write_text((tmp_path / "blip" / "config.json").read_text())
    shapes = {name: value.shape for name, value in built(str(stored)).state_dict().items()}
    assert shapes == {name: value.shape for name, value in built(folder).state_dict().items()}


@pytest.mark.parametrize(
    ("values", "pieces", "said"),
    [
        ({}, len(PIECES) + 1, r"tokenizer has 13 pieces, .* knows 12; set tokenizer to the one"),
        (
            {"image": MODEL["image"] | {"image_size": 24}},
            len(PIECES),
            r"model.image.image_size is 24, .* takes 16 px; set model.image.image_size=16",
        ),
        (
            {"text": MODEL["text"] | {"max_tokens": 13}},
            len(PIECES),
            r"model.text.max_tokens is 13, .* takes 12 at most; set model.text.max_tokens=12",
        ),
    ],
)
def test_a_recipe_that_does_not_fit_the_checkpoint_is_refused(values, pieces, said, tmp_path):
    folder = tiny_blip(tmp_path / "blip")
    with pytest.raises(InputError, match=said) as raised:
        build_matcher(model_config(pretrained=folder, **values), pieces, load_tokenizer("loupe"))
    assert "\n" not in str(raised.value)


def test_what_is_no_blip_is_refused_in_one_line(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    damaged = tiny_blip(tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{nothing")
    unreadable = tiny_blip(tmp_path / "unreadable")
    (tmp_path / "unreadable" / "config.json").write_text("{")
    other = tiny_blip(tmp_path / "other")
    shape = json.loads((tmp_path / "other" / "config.json").read_text())
    shape["text_config"]["hidden_size"] = 32
    (tmp_path / "other" / "config.json").write_text(json.dumps(shape))
    for folder, said in [
        (tiny_vit(tmp_path / "vit"), ", a vit; give the local folder of a BLIP checkpoint"),
        (str(empty), "give the local folder of a BLIP checkpoint"),
        (damaged, "give the local folder of a BLIP checkpoint"),
        (unreadable, "give the local folder of a BLIP checkpoint"),
        (other, "give the local folder of a BLIP checkpoint"),
    ]:
        with pytest.raises(InputError) as raised:
            built(folder)
        assert str(raised.value).startswith(f"model.pretrained is {folder!r}")
        assert str(raised.value).count("model.pretrained") == 1
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)
