"""A worker that dies at every attempt at a shard: the run ends, and names the shard, not those that share its task."""

import os
import signal
import warnings
from pathlib import Path

import pytest

from pipelines.common.causes import TaskFailed
from pipelines.ray_tasks import GROUP_RETRIES, MOST_DEAD, RETRIES, Result, for_each
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


class Kills:
    """Kills its own process at some shards, each so many times; counts attempts in files of a folder."""

    def __init__(self, folder: str, times: dict[str, int]) -> None:
        self.folder, self.times = folder, times

    def __call__(self, unit: Unit) -> Result:
        attempts = Path(self.folder, unit.name)
        with attempts.open("a") as file:
            file.write("x")
        if attempts.stat().st_size <= self.times.get(unit.name, 0):
            os.kill(os.getpid(), signal.SIGKILL)
        return {"name": unit.name}


def attempts_at(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


UNITS = [Unit(f"{number:02d}", f"/{number:02d}.tar", 7) for number in range(20)]  # four tasks of five


def test_a_worker_that_dies_once_costs_another_attempt_at_its_group(ray_cluster, tmp_path):
    done: list[str] = []
    results = for_each(Kills(str(tmp_path), {"02": 1}), UNITS, 1, lambda unit, result: done.append(unit.name))
    assert [result["name"] for result in results] == [unit.name for unit in UNITS]
    assert sorted(done) == [unit.name for unit in UNITS]
    assert attempts_at(tmp_path) == {unit.name: 2 if unit.name < "03" else 1 for unit in UNITS}


def test_only_the_deadly_shard_of_a_group_is_given_up(ray_cluster, tmp_path):
    done: list[str] = []
    with pytest.raises(TaskFailed, match=r"^workers died at every attempt at 12\.tar: "):
        for_each(Kills(str(tmp_path), {"12": 99}), UNITS, 1, lambda unit, result: done.append(unit.name))
    assert sorted(done) == [unit.name for unit in UNITS if unit.name != "12"]
    together = GROUP_RETRIES + 1
    expected = {unit.name: 1 for unit in UNITS}
    assert attempts_at(tmp_path) == expected | {
        "10": together + 1,
        "11": together + 1,
        "12": together + RETRIES + 1,
    }


def test_when_every_shard_is_deadly_the_run_ends_early(ray_cluster, tmp_path):
    every = {unit.name: 99 for unit in UNITS}
    with pytest.raises(
        TaskFailed, match=r"^workers died at every attempt at 0\d\.tar, 0\d\.tar, \d\d\.tar: "
    ):
        for_each(Kills(str(tmp_path), every), UNITS, 1, lambda unit, result: pytest.fail("none can end"))
    attempts = attempts_at(tmp_path)
    assert sum(attempts.values()) <= (MOST_DEAD + 1) * (GROUP_RETRIES + 1) + (MOST_DEAD + 1) * (RETRIES + 1)
