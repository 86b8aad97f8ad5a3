"""A stock export of a tiny run with random weights, made in a tenth of a second: for tests of what reads exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.export.hugging_face import export_run
from pretrain.models.dual_encoder import DualEncoder
from pretrain.tasks.dual_encoder_config import DualEncoderConfig

IMAGE: dict[str, Any] = {
    "kind": "vit",
    "image_size": 16,
    "patch_size": 8,
    "width": 16,
    "depths": [1],
    "heads": [2],
}
TEXT: dict[str, Any] = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "max_tokens": 12}


def random_export(run: Path, **image: Any) -> str:
    """Write a run of one checkpoint into the folder `run`; returns its export, `run`/export.

    The image tower is a ViT of 2×2 cells unless `image` says otherwise; the weights are always the same.
    """
    model = {"image": IMAGE | image, "text": TEXT, "projection_dim": 16}
    config = DualEncoderConfig.model_validate({"name": "tiny", "model": model})
    torch.manual_seed(0)
    encoder = DualEncoder(config.model, len(load_tokenizer("loupe")))
    folder = run / "checkpoints" / "step-00000001"
    folder.mkdir(parents=True)
    weights = {f"dual_encoder.{name}": tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    (folder / "state.json").write_text('{"step": 1}')
    document = {"config": config.model_dump(mode="json"), "config_hash": "abc", "data": "here"}
    (run / "config.json").write_text(json.dumps(document))
    export_run(str(run), str(run / "export"))
    return str(run / "export")
