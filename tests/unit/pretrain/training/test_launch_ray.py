"""What driver and workers exchange as plain values: the run, its faults, its metrics."""

import json
import pickle
import time
from dataclasses import replace

from small_runs import sixteen_pairs, small_recipe, small_run

from data_filters.errors import InputError
from pretrain.training import launch_ray
from pretrain.training.setup import prepare_run


def test_a_run_equals_its_copy_on_a_worker(tmp_path):
    """Ray sends the values by pickle; they hold no class of the project, so JSON can write them."""
    data, other = sixteen_pairs(tmp_path / "curated"), sixteen_pairs(tmp_path / "other")
    change = {"step": 2, "shard": "00000.tar", "sha256": ("a", "b"), "samples": (15, 16)}
    objectives = {"objectives": {"contrastive": {}, "unsil": {}}}
    mixture = prepare_run(
        small_recipe({}, **objectives), [f"{data}=3", f"{other}=1"], str(tmp_path / "mixed")
    )
    assert mixture.shares
    for prepared in (
        small_run(data, tmp_path / "run", {}, **objectives),
        replace(mixture, changes=(change,)),
    ):
        values = launch_ray._portable(prepared)
        assert json.dumps(values)
        assert launch_ray._read_portable(pickle.loads(pickle.dumps(values))) == prepared


def test_a_fault_is_written_whole_with_its_kind(tmp_path):
    launch_ray._write_fault(tmp_path, InputError("the data is gone"))
    assert json.loads((tmp_path / launch_ray.FAULT).read_text()) == {
        "type": "InputError",
        "message": "the data is gone",
    }
    launch_ray._write_fault(tmp_path, FloatingPointError("loss not finite at step 3"))
    assert json.loads((tmp_path / launch_ray.FAULT).read_text())["type"] == "FloatingPointError"
    assert [path.name for path in tmp_path.iterdir()] == [launch_ray.FAULT]


def test_new_lines_of_metrics_reach_the_driver_once(tmp_path):
    log = tmp_path / "metrics.jsonl"
    log.write_text('{"step": 1}\n{"step": 2, "seconds": 5}\n')
    reported = []
    with launch_ray._following(tmp_path, reported.append, seconds=0.01):
        # A resumed run drops the line of step 2, does the step again, and has not completed its last line yet.
        log.write_text('{"step": 1}\n{"step": 2, "seconds": 4}\n{"st')
        deadline = time.monotonic() + 10
        while not reported and time.monotonic() < deadline:
            time.sleep(0.01)
        with log.open("a") as file:
            file.write('ep": 3}\n')
    assert reported == [{"step": 2, "seconds": 4}, {"step": 3}], (
        "step 1 was logged before, step 3 comes when the context closes"
    )
