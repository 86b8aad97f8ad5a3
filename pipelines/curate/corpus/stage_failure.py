"""Brings the error of a stage from its worker to the driver, as text.

Of an error that a function of ours raises, Ray Data hands the driver an error of its own with the traceback's text.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from pipelines.common.causes import chain
from pipelines.curate.corpus.tries import ray_gave_up
from pipelines.ray_tasks import failure, raise_failure

LOST, OWN = "lost", "own"


class StageFailed(Exception):
    """Its text: whether Ray lost something (LOST) or the stage failed (OWN), and the JSON of `failure`, in one line."""


@dataclass(frozen=True)
class Told:
    """A stage whose errors can be read by `raise_own_failure` and `lost_in_stage`."""

    stage: Callable[[pa.Table], pa.Table | Iterator[pa.Table]]

    def __call__(self, block: pa.Table) -> Iterator[pa.Table]:
        with told_errors():
            result = self.stage(block)
            if isinstance(result, Iterator):
                yield from result
            else:
                yield result


@contextlib.contextmanager
def told_errors() -> Iterator[None]:
    """Raise StageFailed in place of any error."""
    try:
        yield
    except Exception as error:
        kind = LOST if ray_gave_up(error) else OWN
        raise StageFailed(f"{kind} {failure(error)}") from None


def raise_own_failure(error: BaseException) -> None:
    """Raise the InputError or TaskFailed that a stage failed with, where `error` is Ray's word of it."""
    kind, text = _told(error)
    if kind == OWN:
        raise_failure(text)


def lost_in_stage(error: BaseException) -> bool:
    """Whether a stage failed because Ray lost something that it asked for."""
    return _told(error)[0] == LOST


def _told(error: BaseException) -> tuple[str, str]:
    pattern = re.compile(rf"{StageFailed.__name__}: ({LOST}|{OWN}) (\{{.*\}})$", re.MULTILINE)
    for inner in chain(error):
        found = pattern.search(str(inner))
        if found:
            return found[1], found[2]
    return "", ""
