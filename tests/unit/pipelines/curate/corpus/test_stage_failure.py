"""Errors of a stage, as Ray Data hands them to the driver: text of a traceback."""

import traceback

import pyarrow as pa
import pytest
from ray import exceptions

from data_filters.errors import InputError
from pipelines.common.causes import TaskFailed
from pipelines.curate.corpus.stage_failure import StageFailed, Told, lost_in_stage, raise_own_failure


def as_ray_hands_it_over(error: BaseException) -> BaseException:
    """What Ray Data makes of an error of ours: the cause is of its own class, ours is in the text."""

    def fails(block: pa.Table) -> pa.Table:
        raise error

    try:
        list(Told(fails)(pa.table({})))
    except StageFailed as failed:
        text = "".join(traceback.format_exception(failed))
        cause = exceptions.UserCodeException("UDF failed to process a data block.")
        return exceptions.RayTaskError("reduce", text + "\nmore of Ray's own\n", cause).as_instanceof_cause()
    raise AssertionError("the stage's error is raised")


def test_an_input_error_keeps_its_line():
    error = as_ray_hands_it_over(InputError("least is 0; allowed are numbers above 0; set least"))
    assert not lost_in_stage(error)
    with pytest.raises(InputError, match="^least is 0; allowed are numbers above 0; set least"):
        raise_own_failure(error)


def test_another_error_is_a_failed_task_with_path_and_remedy():
    with pytest.raises(TaskFailed, match="^No space left on device: /data/x; free some space") as raised:
        raise_own_failure(as_ray_hands_it_over(OSError(28, "No space left on device", "/data/x")))
    assert "Traceback" in raised.value.__notes__[0]


def test_an_object_that_ray_lost_is_no_failure_of_the_stage():
    error = as_ray_hands_it_over(exceptions.ObjectLostError("0" * 56, None, ""))
    raise_own_failure(error)
    assert lost_in_stage(error)


def test_errors_of_ray_itself_are_left_alone():
    error = exceptions.WorkerCrashedError()
    raise_own_failure(error)
    assert not lost_in_stage(error)


def test_a_stage_without_an_error_gives_its_blocks():
    table = pa.table({"a": [1]})
    assert list(Told(lambda block: block)(table)) == [table]
    assert list(Told(lambda block: iter([block, block]))(table)) == [table, table]
