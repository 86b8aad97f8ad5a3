"""The line that is said of an error: its cause, whatever a framework wraps around it."""

import errno
import pickle

import pytest
from ray.exceptions import OutOfMemoryError, RayTaskError, UserCodeException, WorkerCrashedError
from ray.train.v2.api.exceptions import ControllerError, WorkerGroupError

from data_filters.errors import InputError
from pipelines.common.causes import chain, explain, root_cause
from pipelines.shards.witness import ShardChanged

FULL = OSError(errno.ENOSPC, "No space left on device", "/data/out/0.tar")
FULL_LINE = "No space left on device: /data/out/0.tar; free some space and run again: what is finished stays"


def in_task(error: Exception) -> Exception:
    """The error as Ray hands it to the driver."""
    return RayTaskError(
        "f", "a traceback\nmax retries exceeded", error, pid=1, ip="1.2.3.4"
    ).as_instanceof_cause()


def raised_from(outer: Exception, inner: Exception) -> Exception:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        in_task(FULL),
        pickle.loads(pickle.dumps(FULL)),
        in_task(raised_from(UserCodeException("UDF failed"), FULL)),
        raised_from(UserCodeException("UDF failed"), in_task(FULL)),
        WorkerGroupError("workers failed", {1: in_task(FULL)}),
        ControllerError(in_task(FULL)),
        raised_from(RuntimeError("writing failed"), FULL),
        ExceptionGroup("several", [FULL]),
    ],
)
def test_disk_full_is_said_with_its_path_from_inside_anything(error):
    assert explain(error) == FULL_LINE


def test_an_input_error_is_found_on_a_worker():
    error = WorkerGroupError(
        "failed", {0: RuntimeError("peer is gone"), 1: in_task(InputError("limit is 4"))}
    )
    assert type(root_cause(error)) is InputError
    assert explain(error) == "limit is 4"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "/x"),
            "Permission denied: /x; choose a place that this",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/x"),
            "Read-only file system: /x; choose a place that can",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/x"), "No such file or directory: /x"),
        (
            OutOfMemoryError("Task was killed\nlong text"),
            "a worker was killed because the machine ran out of memory",
        ),
        (WorkerCrashedError(), "a worker process died (WorkerCrashedError)"),
        (ValueError("two\nlines"), "ValueError: lines"),
        (ShardChanged("0.tar was changed; run again"), "0.tar was changed; run again"),
        (OSError("no number"), "OSError: no number"),
    ],
)
def test_lines(error, line):
    assert explain(error).startswith(line)
    assert explain(in_task(error)).startswith(line)
    assert "\n" not in explain(error)


def test_what_was_being_handled_is_no_cause():
    error = ValueError("the real one")
    error.__context__ = KeyError("looked up first")
    assert explain(error) == "ValueError: the real one"


def test_a_ring_of_causes_ends():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert list(chain(first)) == [first, second]
