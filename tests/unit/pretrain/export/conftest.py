"""A real run folder, small enough for a test: the files that pretraining writes, with random weights."""

import json

import pytest
import torch
from safetensors.torch import save_file

from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.models.dual_encoder import DualEncoder
from pretrain.tasks.dual_encoder_config import DualEncoderConfig


def tiny_config(kind: str = "swin", seed: int = 0) -> DualEncoderConfig:
    image = {
        "swin": {
            "image_size": 32,
            "patch_size": 4,
            "width": 16,
            "depths": [1, 1],
            "heads": [2, 2],
            "window": 4,
        },
        "vit": {"image_size": 32, "patch_size": 8, "width": 32, "depths": [2], "heads": [2]},
    }[kind]
    text = {"width": 32, "layers": 2, "heads": 2, "feed_forward": 64, "max_tokens": 20}
    return DualEncoderConfig.model_validate(
        {
            "name": f"tiny-{kind}",
            "seed": seed,
            "model": {"image": {"kind": kind, **image}, "text": text, "projection_dim": 24},
        }
    )


def write_config(run, config: DualEncoderConfig) -> None:
    document = {
        "config": config.model_dump(mode="json"),
        "config_hash": f"{config.name}-{config.seed}",
        "data": "s3://pairs",
        "shards": [{"uri": "s3://pairs/a.tar", "samples": 7, "sha256": "abc"}],
        "total_steps": 10,
    }
    (run / "config.json").write_text(json.dumps(document))


def write_checkpoint(run, config: DualEncoderConfig, step: int, heads: dict | None = None) -> DualEncoder:
    torch.manual_seed(step)
    encoder = DualEncoder(config.model, len(load_tokenizer(config.tokenizer))).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():  # biases and norms too: nothing may pass by being zero or one
            parameter.add_(0.1 * torch.randn(parameter.shape))
    folder = run / "checkpoints" / f"step-{step:08d}"
    folder.mkdir(parents=True)
    own = {f"dual_encoder.{name}": tensor.contiguous() for name, tensor in encoder.state_dict().items()}
    save_file(own | (heads or {}), folder / "model.safetensors")
    (folder / "state.json").write_text(json.dumps({"step": step}))
    write_config(run, config)
    return encoder


@pytest.fixture(params=["swin", "vit"])
def run_and_encoder(request, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    config = tiny_config(request.param)
    write_checkpoint(run, config, 5)
    heads = {
        "region_generator.head.weight": torch.randn(5, 24),
        "unsil.layer.weight": torch.randn(3, 7),
    }
    return run, write_checkpoint(run, config, 10, heads)
