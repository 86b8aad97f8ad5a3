"""CPU seconds of the stages of a training step, by the standard library alone: a peer's environment imports it."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Item = TypeVar("Item")

SKIPPED = 4  # first steps, which allocate
LAST = "optimiser"
STAGES = ("read", "decode", "augment", "tokenise, collate", "forward", "loss", "backward", LAST, "other")


class StageClock:
    """Sums the CPU time that threads spend in wrapped functions, without what other wrapped functions take in them.

    A step ends when a function of the stage LAST returns. The first SKIPPED steps are left out.
    """

    def __init__(self) -> None:
        self.steps = -SKIPPED
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner = threading.local()  # `seconds`: of the wrapped calls within the one that runs
        self._began = self._ended = 0.0

    def clocked(self, stage: str, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """The same function; its CPU seconds count for `stage`."""

        @functools.wraps(function)
        def measured(*arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
            before = getattr(self._inner, "seconds", 0.0)
            self._inner.seconds = 0.0
            began = time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                spent = time.thread_time() - began
                self.seconds[stage] += spent - self._inner.seconds
                self._inner.seconds = before + spent
                if stage == LAST:
                    self._end_step()

        return measured

    def clocked_items(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; the CPU seconds of making them count for `stage`."""
        following = self.clocked(stage, functools.partial(next, iter(items), None))
        while (item := following()) is not None:
            yield item

    def _end_step(self) -> None:
        self.steps += 1
        self._ended = time.process_time()
        if self.steps == 0:
            self.seconds.clear()
            self._began = self._ended

    def milliseconds(self, pairs: int) -> dict[str, float]:
        """CPU milliseconds a pair of each stage, where a step has `pairs`; `other` is the rest of the process."""
        each = 1000 / (self.steps * pairs)
        found = {stage: each * seconds for stage, seconds in self.seconds.items()}
        total = each * (self._ended - self._began)
        return {**found, "other": total - sum(found.values()), "all": total}
