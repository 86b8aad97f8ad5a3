"""loupe's side: its batches for the bare loop, what its towers cost, and the stages of its training.

    python loupe_side.py RECIPE DATA batches FILE.pt COUNT
    python loupe_side.py RECIPE DATA count COUNT
    python loupe_side.py RECIPE DATA stages FILE RUN STEPS

What is measured is the command `loupe pretrain` itself; this file takes it apart.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

import torch

HERE = Path(__file__)
sys.path[:0] = [str(HERE.parents[3]), str(HERE.parent)]

from stage_clock import StageClock

from cluster.recipes import load_recipe
from cluster.shipped import PRETRAINING
from pretrain.data.datasets import open_data, open_reader
from pretrain.data.samples import preparation
from pretrain.data.samples.batch import Batch
from pretrain.data.shards.source import ShardSource
from pretrain.step_context import StepContext
from pretrain.tasks.dual_encoder import DualEncoderTask
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.engines.plain import PlainEngine
from pretrain.training.launch_local import run_local
from pretrain.training.setup import build_module, prepare_run


def first_batches(config: DualEncoderConfig, data: str, count: int) -> list[Batch]:
    """The first batches of a run, with pixels as numbers."""
    reader = open_reader(config, open_data(config, data), 0, 1)
    cpu = torch.device("cpu")
    return [
        part.to(cpu, torch.float32, config.pixel_statistics)
        for parts in reader.batches(0, count)
        for part in parts
    ]


def count(config: DualEncoderConfig, batches: list[Batch]) -> dict[str, float]:
    """Parameters, FLOPs a pair of a forward and a backward pass, and tokens a caption, padding included."""
    from torch.utils.flop_counter import FlopCounterMode

    module = build_module(config).train()
    with FlopCounterMode(display=False) as flops:
        for step, batch in enumerate(batches):
            module(batch, StepContext.of(config.seed, step, 0))["loss"].backward()
    return {
        "parameters": sum(each.numel() for each in module.parameters()),
        "flops_a_pair": flops.get_total_flops() / sum(map(len, batches)),
        "tokens_a_caption": sum(batch.input_ids.shape[1] for batch in batches) / len(batches),
    }


def watch_stages(clock: StageClock) -> None:
    """Wrap the functions of loupe that a step consists of, in the threads that read and in the one that trains."""
    # setattr: mypy knows neither of modules nor of classes that their functions may be exchanged.
    for stage, owner, names in (
        ("read", preparation.Preparation, ("pair",)),
        ("read", ShardSource, ("read",)),
        ("decode", preparation, ("decode",)),
        ("augment", preparation, ("crop",)),
        ("augment", Batch, ("to",)),  # to numbers, normalised
        ("tokenise, collate", preparation, ("collate",)),
        ("forward", DualEncoderTask, ("encode",)),
        ("loss", DualEncoderTask, ("losses",)),
        ("backward", PlainEngine, ("backward",)),
        ("optimiser", PlainEngine, ("step",)),
    ):
        for name in names:
            setattr(owner, name, clock.clocked(stage, getattr(owner, name)))


def main() -> None:
    recipe, data, verb, *rest = sys.argv[1:]
    # A short queue: the stages of reading are those of the same steps as the others.
    sets = [f"schedule.steps={rest[2]}", "data.prefetch=1"] if verb == "stages" else []
    config = cast(DualEncoderConfig, load_recipe(DualEncoderConfig, PRETRAINING, recipe, sets))
    if verb == "count":
        print(json.dumps(count(config, first_batches(config, data, int(rest[0])))))
    elif verb == "batches":
        found = first_batches(config, data, int(rest[1]))
        torch.save([(each.pixel_values, each.input_ids, each.attention_mask) for each in found], rest[0])
    else:
        clock = StageClock()
        watch_stages(clock)
        run_local(prepare_run(config, data, rest[1]), lambda _: None)
        Path(rest[0]).write_text(json.dumps(clock.milliseconds(config.data.batch_size)))


if __name__ == "__main__":
    main()
