"""Published towers that a run cannot take: exit code 2 and one line, before anything is trained or written."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from published import image_tower, save, text_tower, tokenizer, whole_model
from small_runs import sixteen_pairs
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ResNetConfig,
    ResNetModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    ViTModel,
)

from cluster import cli

BIG = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(scope="module")
def ground(tmp_path_factory) -> Path:
    """Checkpoints that fit, and some that do not, and a corpus."""
    root = tmp_path_factory.mktemp("ground")
    sixteen_pairs(root / "data")
    for kind in ("vit", "dinov2", "convnext"):
        image_tower(root / kind, kind)
    for kind in ("bert", "roberta", "clip_text_model"):
        text_tower(root / kind, kind)
    for kind in ("clip", "siglip"):
        whole_model(root / kind, kind)
    (root / "empty").mkdir()
    save(root / "resnet", ResNetModel(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])))
    headless = SiglipVisionConfig(**BIG, image_size=32, patch_size=8, vision_use_head=False)
    save(root / "headless", SiglipVisionModel(headless))
    save(root / "distilbert", DistilBertModel(DistilBertConfig(vocab_size=40, dim=16, n_layers=1, n_heads=2)))
    ViTModel.from_pretrained(root / "vit", add_pooling_layer=False).save_pretrained(root / "poolerless")
    save(root / "mute", BertModel(BertConfig(**BIG, vocab_size=40)))
    save(root / "few", BertModel(BertConfig(**BIG, vocab_size=10)))
    tokenizer("bert").save_pretrained(root / "few")
    shutil.copytree(root / "roberta", root / "padless")
    for file, key in (("config.json", "pad_token_id"), ("clip_text_model/config.json", "eos_token_id")):
        path = root / "padless" / file if file == "config.json" else root / file
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: 7}))
    return root


def image(name: str, **keys: object) -> dict:
    return {"image": {"pretrained": name, **keys}, "text": {"pretrained": "bert"}}


def text(name: str, **keys: object) -> dict:
    return {"image": {"pretrained": "vit"}, "text": {"pretrained": name, **keys}}


NEVER = {"train": {"from_step": None}}
CASES = {
    "no folder": (
        {"model": image("nowhere")},
        "model.image.pretrained is 'nowhere': .* give a local folder or a hub",
    ),
    "no model": (
        {"model": image("empty")},
        "model.image.pretrained is 'empty': .* give a local folder or a hub",
    ),
    "no patch tokens": (
        {"model": image("resnet")},
        "is a resnet, whose patch tokens and pooled embedding are not known; allowed are swin, vit",
    ),
    "no pooling head": (
        {"model": image("headless")},
        "without its pooling head .* give a checkpoint with the head",
    ),
    "text as image": ({"model": image("bert")}, "'bert' is a bert, .* allowed are swin, vit"),
    "another size": (
        {"model": image("vit", image_size=64)},
        "image_size is 64, .*'vit' takes 32 px; leave model.image.image_size out",
    ),
    "cells cut": (
        {"model": image("dinov2", image_size=36)},
        "image_size is 36; a dinov2 with cells of 8 px takes multiples of 8; set model.image.image_size=32",
    ),
    "many regions": (
        {
            "model": image("vit"),
            "objectives": {"unsil": {}, "token_semantics": {}},
            "supervision": {"regions": 17},
        },
        "supervision.regions is 17; allowed are 1 to 16, the cells of the 4×4 map",
    ),
    "no recomputing": (
        {"model": image("convnext"), "engine": {"activation_checkpointing": True}},
        "which cannot recompute its activations; set engine.activation_checkpointing=false",
    ),
    "no pooled text": (
        {"model": text("distilbert")},
        "is a distilbert, which has no pooled output .* allowed are bert, roberta",
    ),
    "no tokenizer": (
        {"model": text("mute")},
        "model.text.pretrained is 'mute', which has no tokenizer beside its weights",
    ),
    "empty tokenizer": (
        {"model": text("mute"), "tokenizer": "mute"},
        "tokenizer is 'mute', a folder without a tokenizer's files",
    ),
    "few pieces": ({"model": text("few")}, "tokenizer has 31 pieces, .*'few' knows 10; set tokenizer"),
    "other padding": ({"model": text("padless")}, "tokenizer pads with token 0, .* knows padding by token 7"),
    "other end": (
        {"model": text("clip_text_model")},
        "ends a text with token 3, .* takes its embedding at token 7",
    ),
    "long texts": (
        {"model": text("bert", max_tokens=99)},
        "max_tokens is 99, .* takes 12 at most; set model.text.max_tokens=12",
    ),
    "half a siglip": (
        {"model": text("siglip")},
        "is a siglip_text_model, which no stock class pairs .* set model.pretrained=siglip instead",
    ),
    "not whole": (
        {"model": {"pretrained": "vit"}},
        "'vit' is a vit; allowed are whole dual encoders: clip, siglip",
    ),
    "two wholes": (
        {"model": {"pretrained": "clip", "image": {"pretrained": "vit"}}},
        "image.pretrained is 'vit' with pretrained 'clip'",
    ),
    "another width": (
        {"model": {"pretrained": "clip", "projection_dim": 7}},
        "projection_dim is 7, .* has a space of 24; leave model.projection_dim out",
    ),
    "all locked": (
        {"model": {"image": NEVER, "text": NEVER}},
        "both towers locked for ever nothing of them is left to train",
    ),
    "siglip locked": (
        {"model": {"pretrained": "siglip", "image": NEVER, "text": {"train": {"from_step": 2}}}},
        "no projections beside them: nothing would learn",
    ),
    "sharded lock": (
        {"model": {"image": NEVER}, "engine": {"zero_stage": 3}},
        "zero_stage is 3 with a locked tower",
    ),
    "locked at random": (
        {"model": image("poolerless", **NEVER)},
        "has no weights for pooler.dense.bias, pooler.dense.weight, .* keep random ones for ever",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_one_line_and_exit_code_2(case, ground, tmp_path, monkeypatch, capsys):
    recipe, message = CASES[case]
    monkeypatch.chdir(ground)
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({"data": {"batch_size": 4}, "schedule": {"steps": 1}, **recipe}))
    words = ["pretrain", str(file), "--data", "data", "--output", str(tmp_path / "run"), "--local"]
    monkeypatch.setattr(sys, "argv", ["loupe", *words])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    error = capsys.readouterr().err
    assert stopped.value.code == 2, error
    said = [line for line in error.splitlines() if line.strip()]
    assert len(said) == 1, error
    assert re.search(message, said[0]), said[0]
    assert not (tmp_path / "run" / "checkpoints").exists()
