"""Published towers of every kind: a run trains them, its export opens with transformers alone, and is evaluated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from published import IMAGE_TOWERS, MEAN, SIDE, STD, TEXT_TOWERS, image_tower, text_tower, whole_model
from safetensors.torch import load_file
from small_runs import sixteen_pairs, small_run
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from data_filters.errors import InputError
from pretrain.evaluation.runner import run_evaluation
from pretrain.export.hugging_face import export_run
from pretrain.export.run_folder import find_checkpoint, load_weights, open_run, restore_encoder
from pretrain.training.checkpoint import list_checkpoints
from pretrain.training.launch_local import run_local

TEXTS = ["the red dog", "the blue umbrella 7", "picture"]
OBJECTIVES = {"contrastive": {}, "late_interaction": {}, "token_semantics": {}, "unsil": {}}
SUPERVISION = {"regions": 2, "head_width": 8, "budget": 1, "evaluations": 12}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory) -> str:
    return sixteen_pairs(tmp_path_factory.mktemp("pairs") / "data")


def trained(pairs: str, run: Path, model: dict, **sections: object) -> Path:
    """A finished run of three steps with the token game, and with masked cells."""
    masked = {"image": {"masked_share": 0.5} | model.get("image", {})}
    sections = {"objectives": OBJECTIVES, "supervision": SUPERVISION} | sections
    schedule = {"steps": 3, "checkpoint_every": 2}
    run_local(small_run(pairs, run, schedule, model=model | masked, **sections), lambda _: None)
    return run


def exported(run: Path) -> str:
    """The export: with stock classes alone it computes the run's logits."""
    folder = str(run / "export")
    assert export_run(str(run), folder).max_difference <= 1e-5
    model = AutoModel.from_pretrained(folder).eval()
    texts = AutoTokenizer.from_pretrained(folder)(TEXTS, padding="max_length", return_tensors="pt")
    processor = AutoImageProcessor.from_pretrained(folder)
    noise = torch.randint(0, 256, (2, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).float()
    pixels = processor(list(noise), return_tensors="pt")["pixel_values"]
    opened = open_run(str(run))
    encoder = restore_encoder(opened, load_weights(find_checkpoint(opened)))
    mask = texts.get("attention_mask", (texts["input_ids"] != 0).long())
    with torch.no_grad():
        stock = model(**texts, pixel_values=pixels).logits_per_image
        own = encoder.encode_image(pixels)[0] @ encoder.encode_text(texts["input_ids"], mask)[0].T
    bias = getattr(model, "logit_bias", torch.zeros(1)).detach()
    torch.testing.assert_close(own * encoder.logit_scale.exp() + bias, stock, atol=1e-4, rtol=0)
    return folder


def check_evaluations(export: str, shards: str, scenes: str) -> None:
    """Retrieval, and grounding by patch tokens and by the input of the last block, give numbers of all samples."""
    retrieval = run_evaluation("retrieval", export, shards)
    assert retrieval["images"] == 13
    for proposals in ("pixel", "gradcam"):
        grounding = run_evaluation("grounding", export, scenes, options={"proposals": proposals})
        assert grounding["count"] == 18
        assert 0 <= grounding["accuracy@0.5"] <= 1


@pytest.mark.parametrize("kind", IMAGE_TOWERS)
def test_an_image_tower_is_trained_exported_and_evaluated(kind, pairs, shards, scenes, tmp_path):
    tower = image_tower(tmp_path / "image", kind)
    words = text_tower(tmp_path / "text", "bert")
    model = {"projection_dim": 12, "image": {"pretrained": tower}, "text": {"pretrained": words}}
    run = trained(pairs, tmp_path / "run", model)
    recorded = json.loads((run / "config.json").read_text())["config"]
    image = recorded["model"]["image"]
    assert (image["image_size"], image["pixel_mean"], image["pixel_std"]) == (SIDE, MEAN, STD)
    assert (recorded["model"]["text"]["max_tokens"], recorded["tokenizer"]) == (12, words)
    before = AutoModel.from_pretrained(tower).state_dict()
    after = load_file(list_checkpoints(run)[-1] / "model.safetensors")
    moved = {
        name for name, value in before.items() if not value.equal(after[f"dual_encoder.vision_model.{name}"])
    }
    assert len(moved) > len(before) / 2
    export = exported(run)
    assert type(AutoModel.from_pretrained(export)).__name__ == "VisionTextDualEncoderModel"
    check_evaluations(export, shards, scenes)


@pytest.mark.parametrize("kind", [kind for kind in TEXT_TOWERS if kind != "bert"])
def test_a_text_tower_is_trained_exported_and_evaluated(kind, pairs, shards, scenes, tmp_path):
    model = {
        "projection_dim": 12,
        "image": {"pretrained": image_tower(tmp_path / "image", "vit")},
        "text": {"pretrained": text_tower(tmp_path / "text", kind)},
    }
    export = exported(trained(pairs, tmp_path / "run", model))
    check_evaluations(export, shards, scenes)


@pytest.mark.parametrize(
    ("kind", "stock"), [("clip", "VisionTextDualEncoderModel"), ("siglip", "SiglipModel")]
)
def test_a_whole_model_is_trained_exported_and_evaluated(kind, stock, pairs, shards, scenes, tmp_path):
    whole = whole_model(tmp_path / "whole", kind)
    model = {
        "pretrained": whole,
        "text": {"max_tokens": 8},
    }  # a SigLIP is padded to its own 12 tokens nevertheless
    # A SigLIP reads its padding as words: objectives of single words have no meaning there.
    whole_texts = {"contrastive": {}, "sigmoid": {}}
    objectives = whole_texts if kind == "siglip" else OBJECTIVES | {"sigmoid": {}}
    if kind == "siglip":
        with pytest.raises(
            InputError, match="reads its padding as words, and the recipe has late_interaction"
        ):
            trained(pairs, tmp_path / "refused", model, objectives=OBJECTIVES | {"sigmoid": {}})
    run = trained(pairs, tmp_path / "run", model, objectives=objectives)
    export = exported(run)
    assert type(AutoModel.from_pretrained(export)).__name__ == stock
    assert f"`{stock}`" in (Path(export) / "README.md").read_text()
    check_evaluations(export, shards, scenes)
    check_evaluations(whole, shards, scenes)

    shutil.rmtree(whole)  # what the run stored of it is enough to resume and to export
    last = list_checkpoints(run)[-1] / "model.safetensors"
    straight = load_file(last)
    shutil.rmtree(last.parent)
    trained(pairs, run, model, objectives=objectives)
    assert all(value.equal(straight[name]) for name, value in load_file(last).items())
    exported(run)
