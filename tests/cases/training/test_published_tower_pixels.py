"""A run on a published tower makes its pixels as that tower's image processor does, and its export says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from raw_shards import picture, write_tar
from small_runs import MODEL, small_run
from transformers import AutoImageProcessor, ViTConfig, ViTModel
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from pretrain.export.hugging_face import export_run
from pretrain.training.launch_local import run_local
from pretrain.training.prepared_run import PreparedRun
from pretrain.training.setup import build_reader, write_run_config

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture
def tower(tmp_path) -> Path:
    """A tiny stock ViT with ImageNet's mean and deviation, resized bilinearly."""
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ViTModel(ViTConfig(image_size=32, patch_size=16, **shape)).save_pretrained(tmp_path / "vit")
    ViTImageProcessorPil(
        size={"height": 32, "width": 32}, resample=2, image_mean=MEAN, image_std=STD
    ).save_pretrained(tmp_path / "vit")
    members: dict[str, bytes | str] = {}
    for number in range(8):
        members[f"{number}.png"] = picture(50, 40, number, "PNG")
        members[f"{number}.txt"] = f"picture {number}"
    write_tar(tmp_path / "raw" / "0.tar", members)
    return tmp_path / "vit"


def prepared(tower: Path, **image: object) -> PreparedRun:
    model = MODEL | {
        "image": {"pretrained": str(tower), "image_size": 32, "depths": [1], "heads": [2]} | image
    }
    data = {"batch_size": 8, "crop_scale": [1, 1], "stream_buffer": 1}
    return small_run(str(tower.parent / "raw"), tower.parent / "run", {"steps": 1}, model=model, data=data)


def test_training_and_export_use_the_towers_own_processor(tower):
    run = prepared(tower)
    (batch,) = next(build_reader(run, 0, 1).batches(0, 1))
    pixels = batch.to(torch.device("cpu"), torch.float32, run.config.pixel_statistics).pixel_values
    pictures = [Image.open(_file(tower, number)) for number in range(8)]
    stock = AutoImageProcessor.from_pretrained(tower)(images=pictures, return_tensors="pt")["pixel_values"]
    assert (pixels - stock).abs().max() <= 1e-6

    run_local(run, lambda _: None)
    recorded = json.loads((tower.parent / "run" / "config.json").read_text())["config"]["model"]["image"]
    assert (recorded["pixel_mean"], recorded["pixel_std"], recorded["resample"]) == (MEAN, STD, "bilinear")
    export_run(str(tower.parent / "run"), str(tower.parent / "export"))
    exported = json.loads((tower.parent / "export" / "preprocessor_config.json").read_text())
    assert (exported["image_mean"], exported["image_std"], exported["resample"]) == (MEAN, STD, 2)
    assert "(bilinear), mean 0.485, 0.456, 0.406" in (tower.parent / "export" / "README.md").read_text()


def test_what_the_recipe_says_is_kept_and_a_run_keeps_its_pixels(tower, caplog):
    named = prepared(tower, pixel_mean=[0.1, 0.2, 0.3]).config.model.image
    assert (named.pixel_mean, named.pixel_std) == ((0.1, 0.2, 0.3), tuple(STD))
    write_run_config(prepared(tower))
    (tower / "preprocessor_config.json").unlink()
    assert prepared(tower).config.pixel_statistics == (tuple(MEAN), tuple(STD))
    assert "has no image processor" not in caplog.text
    shutil.rmtree(tower.parent / "run")
    assert prepared(tower).config.pixel_statistics == ((0.5,) * 3, (0.5,) * 3)
    assert "has no image processor" in caplog.text


def test_a_run_of_a_version_that_knew_no_statistics_goes_on_with_the_half_that_it_learned_with(tower):
    write_run_config(prepared(tower))
    file = tower.parent / "run" / "config.json"
    document = json.loads(file.read_text())
    for key in ("pixel_mean", "pixel_std", "resample"):
        del document["config"]["model"]["image"][key]
    file.write_text(json.dumps(document))
    assert prepared(tower).config.pixel_statistics == ((0.5,) * 3, (0.5,) * 3)


def _file(tower: Path, number: int) -> Path:
    file = tower.parent / f"{number}.png"
    file.write_bytes(picture(50, 40, number, "PNG"))
    return file
