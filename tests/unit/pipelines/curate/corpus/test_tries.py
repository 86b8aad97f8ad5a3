"""What is tried again, and what is not."""

import pytest
from ray import exceptions

from data_filters.errors import InputError
from pipelines.common.causes import TaskFailed
from pipelines.curate.corpus.tries import TRIES, ray_gave_up, try_again


def test_what_ray_gave_up_is_tried_again_after_its_leftovers_are_removed():
    seen: list[str] = []

    def attempt(number: int) -> str:
        seen.append(f"try {number}")
        if number < 2:
            raise exceptions.WorkerCrashedError
        return "done"

    assert try_again(attempt, lambda number: seen.append(f"clean {number}"), ray_gave_up) == "done"
    assert seen == ["try 0", "clean 0", "try 1", "clean 1", "try 2"]


def test_after_so_many_tries_the_cause_is_named():
    tries = []

    def attempt(number: int) -> None:
        tries.append(number)
        raise exceptions.WorkerCrashedError

    with pytest.raises(TaskFailed, match=r"^Ray gave up 3 times, at last: a worker process died"):
        try_again(attempt, lambda number: None, ray_gave_up)
    assert len(tries) == TRIES


def test_an_error_of_a_rule_is_raised_at_once():
    cleaned = []

    def attempt(number: int) -> None:
        raise InputError("t is 0; allowed are numbers above 0; set t")

    with pytest.raises(InputError, match="t is 0"):
        try_again(attempt, cleaned.append, ray_gave_up)
    assert cleaned == [0]


def test_ray_gave_up_where_it_lost_something():
    task = exceptions.RayTaskError("reduce", "traceback", exceptions.GetTimeoutError("late"))
    assert ray_gave_up(task.as_instanceof_cause())
    assert not ray_gave_up(
        exceptions.RayTaskError("reduce", "traceback", ValueError("no")).as_instanceof_cause()
    )
    assert not ray_gave_up(OSError("full"))
