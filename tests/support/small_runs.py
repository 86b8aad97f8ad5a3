"""Sixteen committed pairs and runs of a tiny model on them, for tests of training."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from pipelines.shards.writer import write_shard

if (
    TYPE_CHECKING
):  # they import torch, which takes seconds: a test whose runs are in other processes does without
    from pretrain.tasks.dual_encoder_config import DualEncoderConfig
    from pretrain.training.prepared_run import PreparedRun

PAIRS = 16
MODEL: dict[str, Any] = {
    "projection_dim": 16,
    "image": {"image_size": 32, "width": 16, "depths": [1, 1], "heads": [2, 2], "window": 4},
    "text": {"width": 16, "layers": 1, "heads": 2, "feed_forward": 32, "max_tokens": 16},
}
STILL = MODEL | {
    "image": MODEL["image"] | {"drop_path": 0.0},
    "text": MODEL["text"] | {"dropout": 0.0},
}
"""The same model without stochastic depth and dropout."""


def sixteen_pairs(folder: Path) -> str:
    """Write one committed shard of sixteen pairs of one colour each; returns the folder as text."""
    samples = []
    for number in range(PAIRS):
        file = io.BytesIO()
        Image.new("RGB", (32, 32), (number * 15, 128, 255 - number * 10)).save(file, "PNG")
        samples.append((f"{number:04d}", {"png": file.getvalue(), "txt": f"picture {number}".encode()}))
    info = write_shard(str(folder / "00000.tar"), samples)
    (folder / "manifests").mkdir()
    outputs = [{"tar": "00000.tar", "samples": info.samples, "sha256": info.sha256}]
    (folder / "manifests" / "all.json").write_text(json.dumps({"outputs": outputs}))
    return str(folder)


def small_recipe(schedule: dict[str, Any], /, **sections: Any) -> DualEncoderConfig:
    """A recipe of 12 steps of 4 pairs in fp32, with this schedule and these sections in place of its own."""
    from pretrain.tasks.dual_encoder_config import DualEncoderConfig

    recipe = {
        "model": MODEL,
        "data": {"batch_size": 4},
        "engine": {"precision": "fp32"},
        "schedule": {"steps": 12, "log_every": 3} | schedule,
    }
    return DualEncoderConfig.model_validate(recipe | sections)


def small_run(data: str, folder: Path, schedule: dict[str, Any], /, **sections: Any) -> PreparedRun:
    """A prepared run of `small_recipe` on `data`."""
    from pretrain.training.setup import prepare_run

    return prepare_run(small_recipe(schedule, **sections), data, str(folder))
