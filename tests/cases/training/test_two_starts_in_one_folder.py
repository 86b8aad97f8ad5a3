"""A second start of training in a RUN is refused in one line while the first trains; afterwards it goes on."""

import os
import subprocess
import sys
import threading

import pytest
from small_runs import sixteen_pairs, small_run

from data_filters.errors import InputError
from pipelines.common.lock_file import NAME
from pretrain.training.launch_local import run_local
from pretrain.training.metrics import read_metrics


@pytest.fixture
def run(tmp_path):
    """A prepared run of four steps, of which each is logged."""
    return small_run(sixteen_pairs(tmp_path / "data"), tmp_path / "run", {"steps": 4, "log_every": 1})


def second_start(run, *words: str) -> tuple[int, str, float]:
    """Exit code, standard error and CPU seconds of `loupe WORDS`."""
    started = subprocess.Popen(
        [sys.executable, "-m", "cluster.cli", *words], stderr=subprocess.PIPE, text=True
    )
    errors = started.stderr.read()
    _, status, usage = os.wait4(started.pid, 0)
    return os.waitstatus_to_exitcode(status), errors, usage.ru_utime + usage.ru_stime


def test_starts_while_a_run_trains(run, tmp_path):
    refused: list[object] = []

    def others(metrics: dict[str, float]) -> None:
        if metrics["step"] != 2:
            return
        words = ["icon_world", "--data", run.data[0], "--output", run.folder]
        refused.append(second_start(run, "pretrain", *words, "--local"))
        refused.append(second_start(run, "reshard", run.folder, "--world-size", "2"))

        def python() -> None:
            with pytest.raises(InputError) as error:
                run_local(run, lambda _: None)
            refused.append(str(error.value))

        thread = threading.Thread(target=python)
        thread.start()
        thread.join()

    run_local(run, others)
    line = f"output {run.folder} is in use by process {os.getpid()} on "
    (train_code, train_line, train_seconds), (reshard_code, reshard_line, _), python_line = refused
    assert (train_code, reshard_code) == (2, 2)
    assert train_line.count("\n") == reshard_line.count("\n") == 1
    assert train_line.startswith(f"loupe: {line}")
    assert reshard_line.startswith(f"loupe: {line}")
    assert python_line.startswith(line)
    assert train_seconds < 5
    assert [metrics["step"] for metrics in read_metrics(tmp_path / "run")] == [1, 2, 3, 4]
    assert not (tmp_path / "run" / NAME).exists()


def test_a_run_that_failed_is_given_back(run, tmp_path):
    def fail(metrics: dict[str, float]) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run_local(run, fail)
    assert not (tmp_path / "run" / NAME).exists()
    run_local(run, lambda _: None)
    assert read_metrics(tmp_path / "run")[-1]["step"] == 4
