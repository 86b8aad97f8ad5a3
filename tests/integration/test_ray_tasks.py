"""Shards that share a task: all results, and of those whose worker dies, only the one that kills it is given up."""

import os
import signal
import warnings
from pathlib import Path

import pytest

from pipelines import ray_tasks
from pipelines.common.causes import TaskFailed
from pipelines.ray_tasks import GROUP_RETRIES, MOST_DEAD, RETRIES, Result, for_each
from pipelines.shards.unit import Unit

pytestmark = pytest.mark.ray


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
        return {"name": unit.name, "worker": os.getpid()}


def make_units(count: int) -> list[Unit]:
    return [Unit(f"{number:02d}", f"/{number:02d}.tar", 7) for number in range(count)]


def test_results_come_in_order_and_tell_may_be_the_only_one_who_gets_them(ray_cluster, tmp_path):
    units, told = make_units(20), {}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # Ray Data's, of more workers than tasks
        results = for_each(Kills(str(tmp_path), {}), units, 50, told.__setitem__)
    assert [result["name"] for result in results] == [unit.name for unit in units]
    assert [told[unit] for unit in units] == results
    told.clear()
    assert for_each(Kills(str(tmp_path), {}), units, 1, told.__setitem__, keep_results=False) is None
    assert {unit: result["name"] for unit, result in told.items()} == {unit: unit.name for unit in units}


def test_only_the_shard_that_kills_its_worker_is_given_up_and_named(ray_cluster, tmp_path):
    units = make_units(20)  # one worker: four tasks of five
    done: list[str] = []
    with pytest.raises(TaskFailed, match=r"^workers died at every attempt at 12\.tar: .*; set workers lower"):
        for_each(
            Kills(str(tmp_path), {"02": 1, "12": 99}), units, 1, lambda unit, result: done.append(unit.name)
        )
    assert sorted(done) == [unit.name for unit in units if unit.name != "12"]
    together = GROUP_RETRIES + 1
    expected = {unit.name: 1 for unit in units}
    expected |= {"00": 2, "01": 2, "02": 2}  # the same group again, after one death
    expected |= {"10": together + 1, "11": together + 1, "12": together + RETRIES + 1}
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == expected


def test_where_every_shard_is_deadly_the_run_ends_long_before_all_were_tried(
    ray_cluster, tmp_path, monkeypatch
):
    for constant in ("RETRIES", "GROUP_RETRIES"):  # a death costs a second
        monkeypatch.setattr(ray_tasks, constant, 0)
    units = make_units(60)  # four tasks of fifteen
    kills = Kills(str(tmp_path), {unit.name: 99 for unit in units})
    with pytest.raises(TaskFailed, match=r"^workers died at every attempt at 0\d\.tar, 0\d\.tar, 0\d\.tar: "):
        for_each(kills, units, 1, lambda unit, result: pytest.fail(f"{unit} cannot end"))
    deaths = sum(path.stat().st_size for path in tmp_path.iterdir())
    # A task begins while the end of the one before is told.
    assert 2 * MOST_DEAD <= deaths <= 2 * MOST_DEAD + 3
