"""Count the floating-point operations of a supervised step over those of a contrastive one, per recipe.

    python tests/bench/supervision_cost.py [RECIPE ...] [--shrink 16] [--set supervision.budget=4 ...]

Both steps are of the recipe's own towers and image size: forward, losses and backward, counted by torch's counter while
they run on the CPU. The contrastive step has the objective `contrastive` alone, or with --against the recipe's other
objectives without a supplier too (the rows of an ablation). Batch and budget of a worker are divided by --shrink (or a
divisor of it that fits both), so that large towers fit: similarities, which grow with the square of the batch, are then
counted too low, by less than 1%. UNSIL is past its warm-up.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

sys.path.insert(0, str(Path(__file__).parents[2]))

from cluster.recipes import load_recipe
from cluster.shipped import PRETRAINING
from pretrain.data.samples.batch import Batch
from pretrain.step_context import StepContext
from pretrain.tasks import config_class
from pretrain.tasks.dual_encoder import DualEncoderTask
from pretrain.tasks.dual_encoder_config import DualEncoderConfig

VOCABULARY, TOKENS, STEP = 8000, 24, 10**6
RECIPES = (
    "loupe_swin_l_240m",
    "loupe_cc3m_ablation_row2",
    "loupe_cc3m_ablation_row3",
    "loupe_cc3m_ablation_row4",
    "icon_world_loupe",
    "icon_world_boxes",
)


def batch_of(config: DualEncoderConfig, pairs: int) -> Batch:
    """Pairs of noise, with captions of TOKENS tokens and two phrases each."""
    side, tokens = config.image_size, min(TOKENS, config.max_tokens)
    phrases = torch.zeros(pairs, config.data.max_phrases, tokens, dtype=torch.bool)
    phrases[:, 0, 2:6] = True
    phrases[:, 1, 9:13] = True
    return Batch(
        keys=[str(row) for row in range(pairs)],
        pixel_values=torch.randn(pairs, 3, side, side),
        input_ids=torch.randint(5, VOCABULARY, (pairs, tokens)),
        attention_mask=torch.ones(pairs, tokens, dtype=torch.long),
        phrase_tokens=phrases,
        phrase_mask=phrases.any(-1),
    )


def operations(config: DualEncoderConfig, pairs: int) -> int:
    """The floating-point operations of one step of `pairs` pairs."""
    torch.manual_seed(0)
    model = DualEncoderTask(config, VOCABULARY).train()
    batch = batch_of(config, pairs)
    with FlopCounterMode(display=False) as counter:
        model(batch, StepContext.of(STEP, 0, 0))["loss"].backward()
    return counter.get_total_flops()


def measure(recipe: str, shrink: int, sets: list[str], against: bool) -> str:
    """A line of the table."""
    whole = load_recipe(config_class, PRETRAINING, recipe, sets)
    assert isinstance(whole, DualEncoderConfig)
    pairs = whole.pairs_per_worker
    budget = whole.supervision.budget or pairs * whole.supervision.regions
    shrink = math.gcd(shrink, budget, pairs) if whole.image_size > 112 else 1
    supervision = {"budget": budget // shrink, "warmup_steps": 0}
    workers = {"count": 1, "minimum": None}
    data = {"batch_size": pairs // shrink}
    config = whole.model_copy(
        update={
            "supervision": whole.supervision.model_copy(update=supervision),
            "workers": whole.workers.model_copy(update=workers),
            "data": whole.data.model_copy(update=data),
        }
    )
    kept = ("contrastive", "max_pooled", "late_interaction") if against else ("contrastive",)
    objectives = config.objectives.model_copy(
        update={name: None for name in config.objectives.chosen() if name not in kept}
    )
    plain = operations(config.model_copy(update={"objectives": objectives}), pairs // shrink)
    taught = operations(config, pairs // shrink)
    per_pair = shrink / pairs / 1e9
    return (
        f"| {recipe} | {budget} × {whole.supervision.evaluations} of {pairs} | {plain * per_pair:.2f} | "
        f"{taught * per_pair:.2f} | {taught / plain:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--shrink", type=int, default=16)
    parser.add_argument("--set", dest="sets", action="append", default=[])
    parser.add_argument(
        "--against", action="store_true", help="leave the objectives without suppliers in both"
    )
    chosen = parser.parse_args()
    print("| recipe | regions × evaluations of pairs | GFLOPs a pair, contrastive | supervised | ratio |")
    print("|---|---|--:|--:|--:|")
    for recipe in chosen.recipes:
        print(measure(recipe, chosen.shrink, chosen.sets, chosen.against), flush=True)


if __name__ == "__main__":
    main()
