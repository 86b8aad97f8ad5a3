"""Tries again what Ray gave up: workers that were killed too often, objects that are lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pipelines.common.causes import TaskFailed, chain, explain

T = TypeVar("T")

TRIES = 3


def try_again(
    attempt: Callable[[int], T],
    clean: Callable[[int], None],
    gave_up: Callable[[BaseException], bool],
    tries: int = TRIES,
) -> T:
    """Return what `attempt(number)` returns, from number 0; after a failed one `clean(number)` is called.

    Raises what `attempt` raises where `gave_up` denies that Ray gave up, TaskFailed when Ray gave up every time.
    """
    for number in range(tries):
        try:
            return attempt(number)
        except Exception as error:
            clean(number)
            if not gave_up(error):
                raise
            last = error
    raise TaskFailed(f"Ray gave up {tries} times, at last: {explain(last)}") from last


def ray_gave_up(error: BaseException) -> bool:
    """Whether Ray lost a worker, a node or an object, and no function of ours failed."""
    from ray import exceptions

    lost = (
        exceptions.WorkerCrashedError,
        exceptions.NodeDiedError,
        exceptions.ObjectLostError,
        exceptions.OutOfMemoryError,
        exceptions.ActorDiedError,
        exceptions.GetTimeoutError,
        exceptions.TaskUnschedulableError,
    )
    return any(isinstance(inner, lost) for inner in chain(error))
