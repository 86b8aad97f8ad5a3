"""Which files make a checkpoint, its sha256, the size it is decoded at, and what is refused."""

import json
import os

import pytest
from tiny_models import tiny_classifier
from transformers import AutoModelForImageClassification

from data_filters.errors import InputError
from pipelines.curate.look.image_classifier import Classifier, classifier_scores
from pipelines.curate.look.model_files import load_model, model_files, model_sha256, smallest_decode


def test_the_sha256_follows_weights_and_configs_and_nothing_else(tmp_path):
    folder = tmp_path / "model"
    tiny_classifier(folder)
    assert model_files(str(folder)) == ["config.json", "model.safetensors", "preprocessor_config.json"]
    first = model_sha256(str(folder))
    (folder / "README.md").write_text("a card")
    (folder / "pytorch_model.bin").write_bytes(b"transformers takes the safetensors")
    assert model_sha256(str(folder)) == first
    seen = {first}
    for name in ("model.safetensors", "preprocessor_config.json", "config.json"):
        with open(folder / name, "ab") as file:
            file.write(b" ")
        seen.add(model_sha256(str(folder)))
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("config", "pixels"),
    [
        ({"size": {"height": 224, "width": 224}}, 512),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.9}, 854),
        ({"size": 336}, 672),
        ({"size": {"longest_edge": 384}}, 0),
        ({"patch_size": 16, "max_num_patches": 256}, 0),
        ({}, 0),
    ],
)
def test_the_size_at_which_images_are_decoded(tmp_path, config, pixels):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    assert smallest_decode(str(tmp_path)) == pixels


def test_what_is_not_there_or_damaged_is_refused_in_one_line(tmp_path):
    folder = tmp_path / "model"

    def refused(match: str) -> None:
        with pytest.raises(InputError, match=match) as caught:
            classifier_scores(str(folder), "unsafe") and Classifier(str(folder))
        assert "\n" not in str(caught.value)

    refused("where there is no folder; give the local folder")
    tiny_classifier(folder)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    refused("which transformers cannot load")
    os.remove(folder / "model.safetensors")
    refused("which holds no weights")
    (folder / "model.safetensors").write_bytes(weights)
    Classifier(str(folder))
    (folder / "config.json").write_text("{")
    refused("config.json cannot be read")
    os.remove(folder / "config.json")
    refused("which holds no config.json")


def test_a_checkpoint_without_its_head_is_refused(tmp_path):
    from transformers import ViTModel

    tiny_classifier(tmp_path / "model")
    ViTModel.from_pretrained(tmp_path / "model").save_pretrained(tmp_path / "model")
    with pytest.raises(
        InputError, match="as ViTForImageClassification lacks 2 tensors, the first is classifier.bias"
    ):
        load_model(AutoModelForImageClassification, str(tmp_path / "model"))
