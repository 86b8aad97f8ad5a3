"""Adam counts the steps that were done: at every stage and precision, fresh and resumed."""

from contextlib import closing
from pathlib import Path

import torch
from small_runs import small_recipe
from torch import multiprocessing as mp

from pretrain.ranks import process_group
from pretrain.tasks.task import ParameterGroup

CASES = [(stage, precision) for stage in range(4) for precision in ("bf16", "fp32")]
WIDTH = 64


class Line(torch.nn.Linear):
    """A module with the parameter groups that an engine asks of a task."""

    def parameter_groups(self, weight_decay: float, head_rate: float = 1.0) -> list[ParameterGroup]:
        return [ParameterGroup([self.weight], weight_decay, 1.0), ParameterGroup([self.bias], 0.0, 1.0)]


def one_rank(_: int, folder: str) -> None:
    torch.set_num_threads(1)
    with process_group(Path(folder) / "store", 0, 1):
        results = {case: steps_and_weights(Path(folder), *case) for case in CASES}
    torch.save(results, f"{folder}/results.pt")


def steps_and_weights(
    folder: Path, stage: int, precision: str
) -> tuple[set[float], set[float], torch.Tensor]:
    """Adam's step counters after seven steps and, resumed from a checkpoint, after twelve; the initial weights."""
    from pretrain.training.engines.deepspeed import DeepSpeedEngine

    def made() -> DeepSpeedEngine:
        config = small_recipe({}, engine={"zero_stage": stage, "precision": precision, "whole_below": 2})
        torch.manual_seed(0)
        return DeepSpeedEngine(Line(WIDTH, WIDTH), config)

    def advance(engine: DeepSpeedEngine, steps: int) -> set[float]:
        for _ in range(steps):
            rows = torch.ones(2, WIDTH, dtype=engine.dtype)
            engine.backward(engine.engine(rows).float().square().mean())
            engine.step(1e-2, 0.9)
        return {float(moments["step"]) for moments in engine.engine.basic_optimizer.state.values()}

    checkpoint = folder / f"{stage}-{precision}"
    with closing(made()) as engine:
        initial = engine.weights()["weight"]
        first = advance(engine, 7)
        engine.save(checkpoint)
    with closing(made()) as resumed:
        resumed.load(checkpoint, 1)
        return first, advance(resumed, 5), initial


def test_after_twelve_steps_adam_has_counted_twelve(tmp_path) -> None:
    mp.start_processes(one_rank, (str(tmp_path),), nprocs=1, start_method="spawn")
    results = torch.load(tmp_path / "results.pt")
    torch.manual_seed(0)
    first_weights = torch.nn.Linear(WIDTH, WIDTH).weight.detach()
    for case in CASES:
        first, resumed, initial = results[case]
        assert (first, resumed) == ({7.0}, {12.0}), case
        # Building the engine decays no weights.
        torch.testing.assert_close(initial, first_weights, atol=1e-3 if case[1] == "bf16" else 0, rtol=0)
