import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from data_filters.errors import InputError
from pretrain.evaluation.encoder import ExportedEncoder, default_device, open_device


def test_embeddings_are_those_of_the_stock_model_one_by_one(export):
    encoder = ExportedEncoder(export)
    model = AutoModel.from_pretrained(export).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(export), AutoTokenizer.from_pretrained(export)
    noise = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    images = [Image.fromarray(array) for array in noise]
    texts = ["a red dog", "cup", "a blue boat by a tree and a very long sentence that must be cut somewhere"]
    with torch.no_grad():
        outputs = [model.vision_model(**processor(image, return_tensors="pt")) for image in images]
        pooled = torch.cat([output.pooler_output for output in outputs])
        pictured = model.visual_projection(pooled)
        written = torch.cat(
            [
                model.get_text_features(
                    **tokenizer([text], truncation=True, max_length=12, return_tensors="pt")
                ).pooler_output
                for text in texts
            ]
        )
    torch.testing.assert_close(encoder.pool_images(images), pooled, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        encoder.embed_images(images), pictured / pictured.norm(dim=1, keepdim=True), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        encoder.embed_texts(texts), written / written.norm(dim=1, keepdim=True), atol=1e-5, rtol=0
    )
    assert encoder.pixels(images).shape == (3, 3, 16, 16)


def test_a_model_without_a_tower_of_that_name_is_one_clear_line(export):
    encoder = ExportedEncoder(export)
    encoder.model = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match="is a Linear without a vision_model; use features=embedding"):
        encoder.pool_images([Image.new("RGB", (8, 8))])


def test_the_device_is_what_the_machine_has_unless_it_is_named(export):
    assert default_device() == ("cuda" if torch.cuda.is_available() else "cpu")
    assert ExportedEncoder(export).device == torch.device(default_device())
    assert ExportedEncoder(export, "cpu").device == torch.device("cpu")


def test_devices():
    assert open_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="device is 'abacus'") as raised:
        open_device("abacus")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["onnx.json", "image.onnx"], "which is an ONNX export; only exports in the format of Hugging Face"),
        (["open_clip_config.json"], "which is an open_clip export"),
        # An open_clip export holds the text tower's config.json as well.
        (["open_clip_config.json", "config.json"], "which is an open_clip export"),
        (
            ["config.json", "checkpoints/step-1/model.safetensors"],
            "which is a run; export it first: loupe export",
        ),
        (["model.safetensors"], "which has no config.json"),
        ([], "which is not there"),
    ],
)
def test_folders_that_are_something_else_are_named(tmp_path, files, said):
    for file in files:
        path = tmp_path / "it" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with pytest.raises(InputError, match=said):
        ExportedEncoder(str(tmp_path / "it"))


@pytest.mark.parametrize(
    "file", ["model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json"]
)
def test_files_that_are_cut_are_one_clear_line(export, tmp_path, file):
    shutil.copytree(export, tmp_path / "it")
    data = (tmp_path / "it" / file).read_bytes()
    (tmp_path / "it" / file).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="cannot be opened .*; export the run again") as raised:
        ExportedEncoder(str(tmp_path / "it"))
    assert "\n" not in str(raised.value)
