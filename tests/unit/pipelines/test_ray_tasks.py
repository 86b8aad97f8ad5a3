"""What can be checked without a cluster: an empty list starts no Ray, and what a worker does with its row."""

import json

import pytest

from data_filters.errors import InputError
from pipelines.common.causes import TaskFailed
from pipelines.ray_tasks import Actors, GroupTask, for_each, raise_failure
from pipelines.shards.unit import Unit


def double(unit: Unit) -> dict[str, int]:
    return {"size": 2 * unit.size}


def test_no_units_start_no_ray(no_ray):
    assert for_each(double, [], 3, lambda unit, result: None) == []
    assert for_each(double, [], 3, lambda unit, result: None, keep_results=False) is None


def run_task(function, *units: Unit) -> list[dict[str, str]]:
    fields = [[place, unit.name, unit.uri, unit.size] for place, unit in enumerate(units)]
    return list(GroupTask(function, 0, 0)({"units": json.dumps(fields)}))


def test_a_row_goes_in_and_a_row_of_text_for_each_unit_comes_out():
    # A name of bytes that are no UTF-8, as the operating system gives it.
    rows = run_task(
        lambda unit: {"name": unit.name}, Unit("a", "s3://b/a.tar", 2**40), Unit("\udcff", "/x", 1)
    )
    assert [json.loads(row["places"]) for row in rows] == [[0], [1]]
    assert [json.loads(row["result"]) for row in rows] == [{"name": "a"}, {"name": "\udcff"}]
    assert all(row["result"].isascii() for row in rows)
    assert json.loads(run_task(double, Unit("a", "/a.tar", 2**40))[0]["result"]) == {"size": 2**41}


def test_an_error_ends_the_group():
    def fails_at_b(unit: Unit) -> dict[str, str]:
        if unit.name == "b":
            raise InputError("b is wrong")
        return {"name": unit.name}

    rows = run_task(fails_at_b, *(Unit(name, f"/{name}.tar", 1) for name in "abc"))
    assert [bool(row["result"]) for row in rows] == [True, False]
    with pytest.raises(InputError, match="^b is wrong\n"):
        raise_failure(rows[1]["error"])


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
    (row,) = run_task(function, Unit("a", "/a.tar", 1))
    with pytest.raises(kind, match=line) as raised:
        raise_failure(row["error"])
    assert "test_ray_tasks.py" in raised.value.__notes__[0]
    raise_failure("")


def test_a_pool_has_a_size_and_no_gpus_unless_asked(no_ray):
    assert (Actors(3).size, Actors(3).gpus) == (3, 0)
    assert Actors(2, 0.5) == Actors(size=2, gpus=0.5)
    assert for_each(double, [], 3, lambda unit, result: None, actors=Actors(2)) == []
    with pytest.raises(AttributeError):
        Actors(1).size = 2  # type: ignore[misc]
