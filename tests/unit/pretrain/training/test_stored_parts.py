"""A run holds what its checkpoint lacks of published towers and tokenizers: it resumes and exports without them."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file
from small_runs import sixteen_pairs, small_run
from transformers import BertConfig, BertModel, SwinConfig, SwinModel

from data_filters.errors import InputError
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.export import get_format
from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.launch_local import run_local

SHORT = {"steps": 4, "log_every": 1, "checkpoint_every": 2, "keep_checkpoints": 2}


@pytest.fixture
def published(tmp_path, monkeypatch) -> Path:
    """A folder with ./swin, ./bert and ./words, which is the current one: recipes name them by relative paths."""
    place = tmp_path / "place"
    place.mkdir()
    swin = SwinConfig(
        image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 1], window_size=4
    )
    SwinModel(swin).save_pretrained(place / "swin")
    bert = BertConfig(
        vocab_size=8000,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=24,
    )
    BertModel(bert).save_pretrained(place / "bert")
    load_tokenizer("loupe").save_pretrained(str(place / "words"))
    monkeypatch.chdir(place)
    return place


def recipe_parts() -> dict:
    image = {"pretrained": "./swin", "image_size": 32}
    text = {"pretrained": "./bert", "max_tokens": 16}
    return {"model": {"projection_dim": 8, "image": image, "text": text}, "tokenizer": "./words"}


@pytest.fixture
def finished(published, tmp_path) -> tuple[str, Path]:
    """(data, run) of four steps; the published folders are gone afterwards, and the current folder is another."""
    data, run = sixteen_pairs(tmp_path / "data"), tmp_path / "run"
    run_local(small_run(data, run, SHORT, **recipe_parts()), lambda _: None)
    for name in ("swin", "bert", "words"):
        shutil.rmtree(published / name)
    return data, run


def test_a_run_is_exported_and_resumed_without_the_published_folders(finished, tmp_path, monkeypatch):
    data, run = finished
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    monkeypatch.chdir(tmp_path)
    summary = get_format("huggingface")(str(moved), str(tmp_path / "export"), checkpoint=None)
    assert summary.max_difference == 0
    card = (tmp_path / "export" / "README.md").read_text()
    assert "`./swin`" in card
    assert "`./bert`" in card
    assert "tokenizer `./words`" in card

    straight = load_file(list_checkpoints(run)[-1] / "model.safetensors")
    shutil.rmtree(list_checkpoints(run)[-1])
    run_local(small_run(data, run, SHORT, **recipe_parts()), lambda _: None)
    resumed = load_file(list_checkpoints(run)[-1] / "model.safetensors")
    assert all(resumed[name].equal(value) for name, value in straight.items())
    recipe = json.loads((run / "config.json").read_text())["config"]
    assert recipe["model"]["image"]["pretrained"] == "./swin"  # the run is still of that recipe


def test_a_new_run_needs_the_published_weights(finished, tmp_path):
    data, _ = finished
    with pytest.raises(InputError, match="tokenizer is './words'"):
        small_run(data, tmp_path / "new", SHORT, **recipe_parts())
    shipped = recipe_parts() | {"tokenizer": "loupe"}
    with pytest.raises(InputError, match="model.image.pretrained is './swin'"):
        run_local(small_run(data, tmp_path / "new", SHORT, **shipped), lambda _: None)
