"""A matcher's run starts from a stock BLIP, and resumes and exports without the folder that it came from."""

import json
import shutil

import torch
from safetensors.torch import load_file
from small_runs import sixteen_pairs
from tiny_matcher import MODEL, matcher_recipe, tiny_blip

from pretrain.export import get_format
from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.launch_local import run_local
from pretrain.training.setup import prepare_run

SCHEDULE = {"steps": 4, "log_every": 1, "checkpoint_every": 2, "keep_checkpoints": 2}


def recipe(blip: str):
    return matcher_recipe(
        model=MODEL | {"pretrained": blip},
        tokenizer=blip,
        data={"batch_size": 4},
        schedule=SCHEDULE,
        optimizer={"learning_rate": 1e-3},
    )


def test_a_run_goes_on_to_the_same_bits_and_is_exported_with_its_source_gone(tmp_path):
    data, run = sixteen_pairs(tmp_path / "data"), tmp_path / "run"
    blip = tiny_blip(tmp_path / "blip")
    source = load_file(tmp_path / "blip" / "model.safetensors")
    run_local(prepare_run(recipe(blip), data, str(run)), lambda _: None)
    straight = load_file(list_checkpoints(run)[-1] / "model.safetensors")
    moved = (straight["matcher.itm_head.weight"] - source["itm_head.weight"]).abs().max()
    assert 0 < moved < 0.05  # four steps from the source, not from random weights
    stored = json.loads((run / "parts" / "matcher" / "architecture.json").read_text())
    assert (stored["model_type"], stored["text_config"]["vocab_size"]) == ("blip", 12)
    shutil.rmtree(tmp_path / "blip")

    shutil.rmtree(list_checkpoints(run)[-1])
    run_local(prepare_run(recipe(blip), data, str(run)), lambda _: None)
    resumed = load_file(list_checkpoints(run)[-1] / "model.safetensors")
    assert resumed.keys() == straight.keys()
    assert all(torch.equal(resumed[name], value) for name, value in straight.items())

    moved_run = run.rename(tmp_path / "elsewhere")
    summary = get_format("huggingface")(str(moved_run), str(tmp_path / "export"), checkpoint=None)
    assert summary.max_difference == 0
    assert f"start | `{blip}`" in (tmp_path / "export" / "README.md").read_text()
    log = [json.loads(line) for line in (moved_run / "metrics.jsonl").read_text().splitlines()]
    assert {"train/itc_loss", "train/itm_loss", "train/itm_accuracy", "train/itm_negatives"} <= log[-1].keys()
