"""Measure the cost of fine-grained supervision: seconds per training step, relative to contrastive alone.

    python tests/bench/overhead.py --data CURATED [--steps 20] [--recipe icon_world_loupe] [--set KEY=VALUE ...]

One process, one model shape, one batch after the other: the variants take turns on the same batches, so a machine that
slows down slows all of them. CPU seconds of the process are given beside the wall clock.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from cluster.recipes import load_recipe
from cluster.shipped import PRETRAINING
from pretrain.data.datasets import open_data, open_reader
from pretrain.step_context import StepContext
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.engines.plain import PlainEngine
from pretrain.training.setup import build_module

LOUPE = {"token_semantics": {}, "fine_grained": {}, "unsil": {}}
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "contrastive": ({"contrastive": {}}, {}),
    "LOUPE, every region sampled": ({"contrastive": {}} | LOUPE, {"mode": "sampled", "budget": None}),
    "LOUPE, hybrid": ({"contrastive": {}} | LOUPE, {"mode": "hybrid"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--recipe", default="icon_world_loupe")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--skip-sampled", action="store_true", help="leave out the slow variant")
    arguments = parser.parse_args()
    base = load_recipe(DualEncoderConfig, PRETRAINING, arguments.recipe, [*arguments.sets, "workers.count=1"])
    engines = {}
    for name, (objectives, supervision) in VARIANTS.items():
        if arguments.skip_sampled and "every" in name:
            continue
        settings = base.model_dump()
        settings["objectives"] = objectives
        settings["supervision"] |= supervision | {"warmup_steps": 0}
        config = DualEncoderConfig.model_validate(settings)
        engines[name] = PlainEngine(build_module(config), config)
    reader = open_reader(base, open_data(base, (arguments.data,)), 0, 1)
    wall, cpu = dict.fromkeys(engines, 0.0), dict.fromkeys(engines, 0.0)
    forwards: dict[str, float] = {}
    for step, (batch,) in enumerate(reader.batches(0, arguments.steps + 2)):
        for name, engine in engines.items():
            torch.manual_seed(step)
            start, spent = time.perf_counter(), time.process_time()
            values = engine.forward(batch.to(engine.device, engine.dtype), StepContext.of(0, step, rank=0))
            engine.backward(values["loss"])
            engine.step(1e-4, 0.9)
            if engine.device.type == "cuda":
                torch.cuda.synchronize()
            if step >= 2:  # the first steps allocate
                wall[name] += time.perf_counter() - start
                cpu[name] += time.process_time() - spent
            forwards[name] = float(values.get("supervision_evaluations_per_image", torch.zeros(())))
    print(
        f"batch {base.data.batch_size}, {arguments.steps} steps, {torch.get_num_threads()} threads, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print(
        "\n| variant | wall, s per step | ratio | CPU, s per step | ratio | coalitions per image |\n"
        "|---|--:|--:|--:|--:|--:|"
    )
    for name in engines:
        w, c = wall[name] / arguments.steps, cpu[name] / arguments.steps
        print(
            f"| {name} | {w:.3f} | {wall[name] / wall['contrastive']:.2f} | {c:.3f} "
            f"| {cpu[name] / cpu['contrastive']:.2f} | {forwards[name]:.2f} |"
        )


if __name__ == "__main__":
    main()
