"""A tiny matcher: its recipe, task and pairs, a run of it, and stock BLIPs that transformers alone saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipForQuestionAnswering,
    ViTConfig,
    ViTModel,
)
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from data_filters.matching import MatchingSettings, write_settings
from pretrain.data.samples.batch import Batch
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.tasks.matcher import MatcherTask
from pretrain.tasks.matcher_config import MatcherConfig

SIDE, VOCABULARY, PAIRS = 16, 60, 8
MODEL: dict[str, Any] = {
    "image": {"image_size": SIDE, "patch_size": 8, "width": 16, "layers": 1, "heads": 2},
    "text": {
        "width": 16,
        "layers": 1,
        "heads": 2,
        "feed_forward": 16,
        "max_tokens": 12,
        "dropout": 0.0,
    },
    "projection_dim": 8,
}
BLIPS = {
    "retrieval": BlipForImageTextRetrieval,
    "captioning": BlipForConditionalGeneration,
    "vqa": BlipForQuestionAnswering,
}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[ENC]", "a", "cat", "dog", "red", "green", "runs"]


def matcher_recipe(**sections: Any) -> MatcherConfig:
    """A recipe of the tiny matcher, with these sections in place of its own."""
    own = {
        "name": "tiny",
        "task": "matcher",
        "model": MODEL,
        "data": {"batch_size": PAIRS},
        "engine": {"precision": "fp32"},
    }
    return MatcherConfig.model_validate(own | sections)


def matcher_task(config: MatcherConfig, vocabulary: int = VOCABULARY) -> MatcherTask:
    """The task of a recipe, always with the same weights, spread so that no two pairs are alike."""
    torch.manual_seed(0)
    task = MatcherTask(config, vocabulary)
    with torch.no_grad():
        for name, weights in task.named_parameters():
            if name != "logit_scale":
                weights.add_(0.2 * torch.randn(weights.shape))
    return task


def eight_pairs(rows: slice = slice(None)) -> Batch:
    """Some of eight pairs: 2 and 3 have one caption, 4 and 5 one image; cut to their longest caption."""
    generator = torch.Generator().manual_seed(5)
    pixels = torch.randn(PAIRS, 3, SIDE, SIDE, generator=generator)
    ids = torch.randint(5, VOCABULARY, (PAIRS, 9), generator=generator)
    lengths = torch.tensor([9, 6, 5, 5, 5, 8, 7, 7])
    ids[3] = ids[2]
    pixels[5] = pixels[4]
    mask = (torch.arange(9) < lengths[:, None]).long()
    longest = int(lengths[rows].max())
    return Batch(
        keys=[f"pair-{row}" for row in range(PAIRS)][rows],
        pixel_values=pixels[rows],
        input_ids=(ids * mask)[rows, :longest],
        attention_mask=mask[rows, :longest],
        image_hashes=torch.tensor([0, 1, 2, 3, 4, 4, 6, 7])[rows],
    )


def tiny_blip(folder: Path, kind: str = "retrieval", settings: MatchingSettings | None = None) -> str:
    """Save a BLIP of one kind with random weights, a tokenizer of PIECES and an image processor; returns its folder."""
    torch.manual_seed(1)
    small = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "initializer_range": 0.5,
    }
    words = {
        "vocab_size": len(PIECES),
        "encoder_hidden_size": 16,
        "max_position_embeddings": 12,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "sep_token_id": 3,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    config = BlipConfig(
        text_config=small | words,
        vision_config=small | {"image_size": SIDE, "patch_size": 8},
        projection_dim=8,
        image_text_hidden_size=8,
    )
    BLIPS[kind](config).save_pretrained(folder)
    vocabulary = {piece: number for number, piece in enumerate(PIECES)}
    BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=12).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    if settings is not None:
        write_settings(str(folder), settings)
    return str(folder)


def tiny_vit(folder: Path) -> str:
    """Save a ViT, which is no BLIP; returns its folder."""
    ViTModel(
        ViTConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=SIDE
        )
    ).save_pretrained(folder)
    return str(folder)


def matcher_run(folder: Path, **sections: Any) -> tuple[str, MatcherTask]:
    """Write a run of one checkpoint as pretraining writes it; returns its folder and the module."""
    config = matcher_recipe(**sections)
    task = matcher_task(config, len(load_tokenizer(config.tokenizer))).eval()
    with torch.no_grad():
        task.logit_scale.fill_(3.0)
    checkpoint = folder / "checkpoints" / "step-00000001"
    checkpoint.mkdir(parents=True)
    weights = {name: tensor.contiguous() for name, tensor in task.state_dict().items()}
    save_file(weights, checkpoint / "model.safetensors")
    (checkpoint / "state.json").write_text('{"step": 1}')
    shards = [{"uri": "s3://pairs/a.tar", "samples": 7, "sha256": "abc"}]
    document = {"config": config.model_dump(mode="json"), "config_hash": "abc", "data": "s3://pairs"}
    (folder / "config.json").write_text(json.dumps(document | {"shards": shards}))
    return str(folder), task
