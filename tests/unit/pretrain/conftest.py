"""Real shards and a real exported model, small enough for a test."""

import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from pipelines.shards.writer import write_shard
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.export.hugging_face import export_run
from pretrain.models.dual_encoder import DualEncoder
from pretrain.models.region_generator import RegionGenerator
from pretrain.tasks.dual_encoder_config import DualEncoderConfig

CONFIG = DualEncoderConfig.model_validate(
    {
        "name": "tiny",
        "model": {
            "image": {
                "kind": "vit",
                "image_size": 16,
                "patch_size": 8,
                "width": 16,
                "depths": [1],
                "heads": [2],
            },
            "text": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "max_tokens": 12},
            "projection_dim": 16,
        },
    }
)
WORDS = ["red", "umbrella", "dog", "car", "blue", "tree", "cup", "clock", "fish", "boat"]


@pytest.fixture(scope="session")
def export(tmp_path_factory) -> str:
    """A stock export of a run with random weights."""
    run = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    encoder = DualEncoder(CONFIG.model, len(load_tokenizer("loupe")))
    folder = run / "checkpoints" / "step-00000001"
    folder.mkdir(parents=True)
    weights = {f"dual_encoder.{name}": tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "state.json").write_text("{}")
    document = {"config": CONFIG.model_dump(mode="json"), "config_hash": "abc", "data": "here"}
    (run / "config.json").write_text(json.dumps(document))
    output = run / "export"
    export_run(str(run), str(output))
    return str(output)


def picture_bytes(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def captions_for(seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(WORDS, 4)) for _ in range(1 + seed % 3)]


@pytest.fixture
def shards(tmp_path) -> str:
    """13 images with one to three captions each, in two shards; images 4 and 11 have no caption to speak of."""
    folder = tmp_path / "shards"
    for shard, numbers in enumerate([range(7), range(7, 15)]):
        samples = []
        for number in numbers:
            captions = captions_for(number) if number not in (4, 11) else [" "]
            members = {"png": picture_bytes(number), "txt": captions[0].encode()}
            if len(captions) > 1:
                members["json"] = json.dumps({"captions": captions}).encode()
            samples.append((f"{number:06d}", members))
        write_shard(folder / f"{shard:05d}.tar", samples)
    return str(folder)


@pytest.fixture
def scenes(tmp_path) -> str:
    """Ten images of 24×20 px with one to three objects and an expression for each; the last one has no boxes."""
    generator = np.random.default_rng(5)
    samples = []
    for number in range(10):
        objects = []
        for _ in range(1 + number % 3):
            left, top = generator.integers(0, 9, 2).tolist()
            width, height = generator.integers(7, 12, 2).tolist()
            objects.append({"name": str(generator.choice(WORDS[:4])), "box": [left, top, width, height]})
        metadata = {
            "width": 20,
            "height": 24,
            "objects": objects,
            "referring": [
                {"text": f"the {one['name']}", "object": place, "kind": "name" if place else "full"}
                for place, one in enumerate(objects)
            ],
        }
        members = {
            "png": picture_bytes(number),
            "json": json.dumps(metadata if number < 9 else {}).encode(),
        }
        samples.append((f"{number:06d}", members))
    folder = tmp_path / "scenes"
    write_shard(folder / "00000.tar", samples)
    return str(folder)


@pytest.fixture(scope="session")
def region_export(export, tmp_path_factory) -> str:
    """The same export with a region head of random weights."""
    folder = tmp_path_factory.mktemp("with_regions") / "export"
    shutil.copytree(export, folder)
    torch.manual_seed(3)
    head = RegionGenerator(16, (2, 2), 3, width=8)
    torch.nn.init.normal_(head.out.weight)
    save_file(head.state_dict(), folder / "region_head.safetensors")
    return str(folder)
