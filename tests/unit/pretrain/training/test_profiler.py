"""The trace holds exactly the traced steps, and is written only after the last of them."""

import json

import torch

from pretrain.training.profiler import SKIPPED, TRACED, step_profiler


def test_the_first_steps_are_skipped_and_the_next_traced(tmp_path):
    trace = tmp_path / "profile" / "rank-3.json"
    with step_profiler(tmp_path, 3, torch.device("cpu")) as profiler:
        for step in range(SKIPPED + TRACED):
            assert not trace.exists()
            torch.ones(step + 1).sum()
            profiler.step()
    events = json.loads(trace.read_text())["traceEvents"]
    steps = {event["name"] for event in events if event["name"].startswith("ProfilerStep#")}
    assert steps == {f"ProfilerStep#{number}" for number in range(SKIPPED, SKIPPED + TRACED)}
