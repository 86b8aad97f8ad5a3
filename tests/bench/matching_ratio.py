"""Measure the matching filter in pairs per CPU second: against a bare batched loop, single stock calls, and a band.

    OMP_NUM_THREADS=1 python tests/bench/matching_ratio.py SHARD.tar [--pairs 64] [--rounds 2]

BLIP has random weights: a ViT-S/16 at 224 px and a text encoder of 12 layers, 384 wide. All sides run on one core and
take turns; the best round of each counts. The first round, which loads the models, is left out.
- bare loop: reads the tar with `tarfile`, decodes with `data_filters.decode`, image processor, tokenizer, and
  `matching_scores` of batches of BATCH pairs, filled up to the longest caption;
- stock: for each pair alone one call for ITM and one for ITC, each with its own image pass;
- band: a CLIP (6 layers, 256 wide, 32 px patches) scores every pair, and the half of them around its median goes to
  BLIP; CLIP and its decoding are counted. It takes about a twentieth of BLIP's operations, as CLIP ViT-B/32 beside BLIP
  ViT-B/16 at 384 px does.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support"), str(ROOT / "tests" / "bench")]

from look_pairs import bare_loop, first_pairs, seconds
from tiny_matching import tiny_config, tiny_matching
from tiny_models import word_tokenizer
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    BlipForImageTextRetrieval,
    CLIPConfig,
    CLIPModel,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from data_filters.matching import matching_scores
from pipelines.curate.look.band import Band
from pipelines.curate.look.dual_encoder import DualEncoderScores, dual_encoder_scores
from pipelines.curate.look.group import LookGroup
from pipelines.curate.look.look import look, looks_or_empty
from pipelines.curate.look.matching import matching_group
from pipelines.curate.scan import scan
from pipelines.curate.scores.storage import Scores, save_scores, with_table
from pipelines.shards.unit import Unit

BATCH = 64
SIDE, TOKENS = 224, 64
Pair = tuple[Any, str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shard")
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="loupe-matching-") as folder:
        blip = small_blip(Path(folder) / "blip")
        shard = first_pairs(arguments.shard, os.path.join(folder, "shard.tar"), arguments.pairs)
        scores = scan(Unit("shard", shard, os.path.getsize(shard)))
        group = matching_group(blip, "", "fp32", None)
        clip = dual_encoder_scores(small_clip(os.path.join(folder, "clip")), "clip", embeddings=False)
        low, high = middle_half(scores, clip)
        banded = matching_group(blip, "", "fp32", Band(clip.column, low, high, 0.0))
        batched, single = bare_calls(blip), stock_calls(blip)
        sides: dict[str, Callable[[], object]] = {
            "stage": lambda: look_at(scores, [group], os.path.join(folder, "out")),
            "bare batched loop": lambda: bare_loop(shard, batched, group.at_least, BATCH),
            "single stock calls": lambda: bare_loop(shard, single, group.at_least, 1),
            "stage after CLIP": lambda: look_at(scores, [clip, banded], os.path.join(folder, "out")),
        }
        best = {name: float("inf") for name in sides}
        for number in range(arguments.rounds + 1):
            for name, call in sides.items():
                took = seconds(call)
                best[name] = min(best[name], took) if number else float("inf")
        stage = best["stage"]
        count = scores.facts.num_rows
        for name, took in best.items():
            print(
                f"{name}: {1000 * took / count:.0f} ms of CPU a pair; the stage is {took / stage:.2f} x as fast"
            )
        print(f"band: {stage / best['stage after CLIP']:.2f} x as fast as the stage without")


def small_blip(folder: Path) -> str:
    """BLIP with its image processor and a tokenizer of a few words."""
    sizes = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6}
    torch.manual_seed(0)
    model = BlipForImageTextRetrieval(tiny_config(tokens=TOKENS, side=SIDE, patch=16, **sizes))
    return tiny_matching(folder, model, tokens=TOKENS, side=SIDE)


def small_clip(folder: str) -> str:
    """A CLIP that is cheap beside BLIP."""
    sizes = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 4}
    text = {**sizes, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text, vision_config={**sizes, "patch_size": 32, "image_size": SIDE})
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}).save_pretrained(folder)
    word_tokenizer(TOKENS).save_pretrained(folder)
    return folder


def look_at(scores: Scores, groups: list[Any], output: str) -> None:
    """Phase L of the shard without the scan, which phase A has made; stored as a run stores it."""
    found = look(scores, looks_or_empty(scores, groups), groups, np.arange(scores.facts.num_rows), BATCH)
    for group in groups:
        save_scores(with_table(scores, group, found[group.name]), [group], output)


def middle_half(scores: Scores, clip: DualEncoderScores) -> tuple[float, float]:
    """The quartiles of a dual encoder's scores."""
    groups: list[LookGroup] = [clip]
    table = look(scores, looks_or_empty(scores, groups), groups, np.arange(scores.facts.num_rows), BATCH)
    low, high = np.nanquantile(table[clip.name].column(clip.column).to_numpy(), [0.25, 0.75]).tolist()
    return low, high


def bare_calls(folder: str) -> Callable[[list[Pair]], object]:
    """Both scores of a batch, composed."""
    model = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    processor: Any = AutoImageProcessor.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    def measure(batch: list[Pair]) -> object:
        pixels = processor([image for image, _ in batch], return_tensors="pt")["pixel_values"]
        texts = tokenizer(
            [text for _, text in batch], truncation=True, max_length=TOKENS, padding=True, return_tensors="pt"
        )
        with torch.inference_mode():
            return matching_scores(model, pixels, texts["input_ids"], texts["attention_mask"])

    return measure


def stock_calls(folder: str) -> Callable[[list[Pair]], object]:
    """Both scores of a pair by two calls, as the documentation of transformers shows each."""
    model = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    processor: Any = AutoImageProcessor.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    def measure(batch: list[Pair]) -> object:
        ((image, text),) = batch
        pixels = processor(image, return_tensors="pt")
        texts = tokenizer(text, truncation=True, max_length=TOKENS, return_tensors="pt")
        inputs = {**pixels, "input_ids": texts["input_ids"], "attention_mask": texts["attention_mask"]}
        with torch.inference_mode():
            itm = model(**inputs).itm_score
            return itm, model(**inputs, use_itm_head=False).itm_score

    return measure


if __name__ == "__main__":
    main()
