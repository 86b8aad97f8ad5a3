"""A worker that dies at every attempt at a shard: the run ends, and names the shard."""

import os
import signal
import warnings
from pathlib import Path

import pytest

from pipelines.common.causes import TaskFailed
from pipelines.ray_tasks import RETRIES, Result, for_each
from pipelines.shards.unit import Unit

pytestmark = pytest.mark.ray


class DiesAtB:
    """Kills its own process at the shards b and c, at c only once; counts attempts in files of a folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, unit: Unit) -> Result:
        attempts = Path(self.folder, unit.name)
        with attempts.open("a") as file:
            file.write("x")
        if unit.name == "b" or (unit.name == "c" and attempts.stat().st_size == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return {"size": unit.size}


def test_a_shard_that_kills_its_worker_is_tried_so_often_and_named(ray_cluster, tmp_path):
    units = [Unit(name, f"/{name}.tar", 7) for name in "abc"]
    done: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Ray Data's, of more workers than shards
        with pytest.raises(
            TaskFailed, match=r"^workers died at every attempt at b\.tar: .*; set workers lower"
        ):
            for_each(DiesAtB(str(tmp_path)), units, 5, lambda unit, result: done.append(unit.name))
    assert sorted(done) == ["a", "c"]
    assert {name: (tmp_path / name).stat().st_size for name in "abc"} == {"a": 1, "b": RETRIES + 1, "c": 2}
