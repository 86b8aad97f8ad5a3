"""What driver and workers exchange as plain values: the run, its faults, its metrics."""

import json
import time

from small_runs import sixteen_pairs, small_run

from data_filters.errors import InputError
from pretrain.training import launch_ray


def test_a_run_equals_its_copy_on_a_worker(tmp_path):
    data = sixteen_pairs(tmp_path / "curated")
    prepared = small_run(data, tmp_path / "run", {}, objectives={"contrastive": {}, "unsil": {}})
    values = launch_ray._portable(prepared)
    tuples = {
        name: getattr(prepared, name) for name in ("data", "shards", "changes")
    }  # JSON makes lists of them
    assert launch_ray._read_portable(json.loads(json.dumps(values)) | tuples) == prepared


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
    log.write_text('{"step": 1}\n')
    reported = []
    with launch_ray._following(tmp_path, reported.append, seconds=0.01):
        with log.open("a") as file:
            file.write('{"step": 2}\n{"st')  # the last line is not complete yet
        deadline = time.monotonic() + 10
        while not reported and time.monotonic() < deadline:
            time.sleep(0.01)
        with log.open("a") as file:
            file.write('ep": 3}\n')
    assert reported == [{"step": 2}, {"step": 3}], (
        "step 1 was logged before, step 3 comes when the context closes"
    )
