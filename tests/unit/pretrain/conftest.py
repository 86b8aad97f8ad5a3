"""Real shards and a real exported model, small enough for a test."""

import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from random_export import random_export
from safetensors.torch import save_file

from pipelines.shards.writer import write_shard
from pretrain.models.region_generator import RegionGenerator

WORDS = ["red", "umbrella", "dog", "car", "blue", "tree", "cup", "clock", "fish", "boat"]


@pytest.fixture(scope="session")
def export(tmp_path_factory) -> str:
    """A stock export of a run with random weights."""
    return random_export(tmp_path_factory.mktemp("run"))


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
