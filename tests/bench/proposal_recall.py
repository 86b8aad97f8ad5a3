"""Measure how many true boxes the proposers of detection and grounding reach, at how many proposals.

    python tests/bench/proposal_recall.py WORLD/test EXPORT [--proposals parts superpixels ...] [--images 128]
        [--set regions=32 ...]

DATA are what `loupe evaluate --task detection` takes. A true box is reached by a proposal of IoU 0.5 or more. Proposers
that make boxes for a text are given every class name of the data, in the template `icon`, and two boxes for each; equal
boxes count once. The table has, for each proposer: the share of true boxes that are reached (recall), proposals per
image, the share of proposals that reach a true box (precision), and the time in ms per image. Without `--proposals` all
proposers are measured; one that an export has no use for is listed with the reason below the table.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import torch
import yaml
from jaxtyping import Float
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.data.scene import Scene
from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation import PROPOSERS, choose_proposer
from pretrain.evaluation.localisation.candidates import Proposer
from pretrain.evaluation.localisation.proposal_options import ProposalOptions, proposal_options
from pretrain.evaluation.metrics.boxes import in_pixels, iou
from pretrain.evaluation.prompts import class_embeddings
from pretrain.evaluation.token_encoder import TokenEncoder

IOU = 0.5
PEAKS = 2


@dataclass
class Reached:
    """Counts over images."""

    truths: int = 0
    found: int = 0
    proposals: int = 0
    right: int = 0
    images: int = 0
    seconds: float = 0.0

    def add(self, boxes: Float[np.ndarray, "P 4"], truth: Float[np.ndarray, "T 4"], seconds: float) -> None:
        """Count one image's proposals and true boxes, (left, top, width, height) in px."""
        near = iou(boxes, truth) >= IOU
        self.truths, self.found = self.truths + len(truth), self.found + int(near.any(0).sum())
        self.proposals, self.right = self.proposals + len(boxes), self.right + int(near.any(1).sum())
        self.images, self.seconds = self.images + 1, self.seconds + seconds

    def row(self, name: str) -> str:
        """A line of the table."""
        recall, precision = self.found / max(1, self.truths), self.right / max(1, self.proposals)
        each = self.proposals / max(1, self.images), 1e3 * self.seconds / max(1, self.images)
        return f"| `{name}` | {recall:.3f} | {each[0]:.1f} | {precision:.3f} | {each[1]:.0f} |"


def measure(
    encoder: TokenEncoder,
    proposer: Proposer,
    scenes: Iterator[Scene],
    texts: Tensor,
    options: ProposalOptions,
) -> Reached:
    """The counts of one proposer. Raises InputError where the export has no use for it."""
    reached = Reached()
    for scene in scenes:
        truth = np.array([one.box for one in scene.objects if not one.crowd]).reshape(-1, 4)
        pixels = encoder.pixels([scene.image])
        start = time.perf_counter()
        candidates = proposer(encoder, pixels, texts, options, PEAKS)
        seconds = time.perf_counter() - start
        boxes = torch.unique(candidates.boxes[candidates.real], dim=0)
        reached.add(in_pixels(boxes, scene.image.size), truth, seconds)
    return reached


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data")
    parser.add_argument("export")
    parser.add_argument("--proposals", nargs="+", default=list(PROPOSERS))
    parser.add_argument("--images", type=int, help="the first so many images; without it all")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="options of the proposers")
    chosen = parser.parse_args()
    try:
        options = proposal_options(
            yaml.safe_load("\n".join(one.replace("=", ": ", 1) for one in chosen.set)) or {}
        )
        encoder = TokenEncoder(chosen.export)
        proposers = {name: choose_proposer(name, encoder)[1] for name in chosen.proposals}
        names = SceneStream(chosen.data).names()
    except InputError as error:
        parser.error(str(error))
    texts = class_embeddings(encoder, names, "icon").to(encoder.device)
    print(
        f"| proposals | recall at IoU {IOU} | per image | precision | ms per image |\n|---|--:|--:|--:|--:|"
    )
    refused = []
    for name, proposer in proposers.items():
        scenes = islice(SceneStream(chosen.data), chosen.images)
        try:
            print(measure(encoder, proposer, scenes, texts, options).row(name), flush=True)
        except InputError as error:
            refused.append(f"- `{name}`: {error}")
    print("", *refused, sep="\n")


if __name__ == "__main__":
    main()
