"""What a cell's process makes of metrics and logs, and how it ends where it cannot work."""

import fcntl
import json
import statistics
import subprocess
import sys

import pytest

from cluster.ablation.cell_process import flat_numbers, run_cell, training_costs
from data_filters.errors import InputError


def test_numbers_have_dotted_names_and_classes_are_left_out():
    metrics = {
        "task": "detection",
        "mAP@0.5": 0.25,
        "image_to_text": {"R@1": 0.5, "R@5": 1},
        "per_class": {"tree": 0.9},
        "settled": True,
        "nested": {"per_class": {"tree": 0.9}, "count": 3},
    }
    assert dict(flat_numbers(metrics)) == {
        "mAP@0.5": 0.25,
        "image_to_text.R@1": 0.5,
        "image_to_text.R@5": 1,
        "nested.count": 3,
    }


def test_costs_are_medians_of_the_logged_steps_and_count_from_the_start(tmp_path):
    clock, cpu = [0.5, 0.9, 0.4, 3.0], [1.0, 1.5, 1.25, 2.0]
    lines = [
        {"step": 11 + place, "train/step_seconds": seconds, "train/step_cpu_seconds": cpu[place]}
        for place, seconds in enumerate(clock)
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (tmp_path / "config.json").write_text(json.dumps({"config": {"start": {"step": 10}}}))
    assert training_costs(tmp_path) == {
        "seconds_per_step": statistics.median(clock),
        "cpu_seconds_per_step": statistics.median(cpu),
        "own_steps": 4,
    }


def test_a_cell_that_another_process_works_on_is_refused(tmp_path):
    with (tmp_path / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(InputError, match="is being worked on by another process"):
            run_cell(tmp_path)


def test_the_process_ends_with_the_reason_in_its_last_line(tmp_path):
    command = [sys.executable, "-m", "cluster.ablation.cell_process", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("loupe: FileNotFoundError: ")
