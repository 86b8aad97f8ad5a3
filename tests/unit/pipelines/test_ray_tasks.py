"""What can be checked without a cluster: an empty list starts no Ray, and what is set is set back."""

import json
import logging
import os

import pytest
import ray
import ray.data

from data_filters.errors import InputError
from pipelines.common.causes import TaskFailed
from pipelines.ray_tasks import ShardTask, for_each, quiet_data, raise_failure, running_ray
from pipelines.shards.unit import Unit

BARS = ("enable_progress_bars", "enable_operator_progress_bars", "enable_rich_progress_bars")


def double(unit: Unit) -> dict[str, int]:
    return {"size": 2 * unit.size}


def test_no_units_start_no_ray(no_ray):
    assert for_each(double, [], 3, lambda unit, result: None) == []


def test_a_row_goes_in_and_text_comes_out():
    row = ShardTask(double)({"name": "a", "uri": "s3://b/a.tar", "size": 2**40})
    assert row["name"] == "a"
    assert json.loads(row["result"]) == {"size": 2**41}


def test_bars_and_logs_are_set_back_also_after_an_error():
    context = ray.data.DataContext.get_current()
    names = [name for name in BARS if hasattr(context, name)]
    before = {name: getattr(context, name) for name in names}
    level = logging.getLogger("ray.data").level

    def fail_while_quiet() -> None:
        with quiet_data(ray):
            assert not any(getattr(context, name) for name in names)
            assert logging.getLogger("ray.data").level == logging.WARNING
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fail_while_quiet()
    assert {name: getattr(context, name) for name in names} == before
    assert logging.getLogger("ray.data").level == level


@pytest.mark.parametrize("address", [None, "ray://head:10001"])
def test_ray_is_started_here_unless_an_address_is_given_and_stopped_again(monkeypatch, address):
    calls: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # another test may have started one
    monkeypatch.setattr(ray, "init", lambda **options: calls.append(("init", options)))
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append(("shutdown", {})))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address:
        monkeypatch.setitem(os.environ, "RAY_ADDRESS", address)

    def fail_while_running() -> None:
        with running_ray(3) as running:
            assert running is ray
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fail_while_running()
    (first, options), (last, _) = calls
    assert (first, last) == ("init", "shutdown")
    assert options.get("address") == (None if address else "local")
    assert options.get("num_cpus") == (None if address else 3)


def test_a_ray_that_runs_is_used_and_left_running(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "init", lambda **options: pytest.fail("started another"))
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("stopped one that is not ours"))
    with running_ray(1) as running:
        assert running is ray


def refused(unit: Unit) -> dict[str, int]:
    raise InputError(f"{unit.name} is wrong")


def full(unit: Unit) -> dict[str, int]:
    raise OSError(28, "No space left on device", f"/out/{unit.name}")


@pytest.mark.parametrize(
    ("function", "kind", "line"),
    [
        (refused, InputError, r"^a is wrong\n"),
        (full, TaskFailed, "^No space left on device: /out/a; free some space"),
    ],
)
def test_an_error_of_a_worker_comes_back_as_data_with_its_traceback(function, kind, line):
    row = ShardTask(function)({"name": "a", "uri": "/a.tar", "size": 1})
    with pytest.raises(kind, match=line) as raised:
        raise_failure(row["error"])
    assert "test_ray_tasks.py" in raised.value.__notes__[0]
    raise_failure("")
