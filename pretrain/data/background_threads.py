"""Background threads that make items before they are needed."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNKS_PER_THREAD = (
    4  # small enough that no thread waits long for the last, large enough to hide the hand-over
)
LONGEST_WAIT = 60.0  # seconds for an item that is being made when its consumer closes


@dataclass(frozen=True)
class _Ready(Generic[Item]):
    """An item on its way to the consumer."""

    item: Item


@dataclass(frozen=True)
class _End:
    """The end of the items: by themselves, or by an error."""

    error: BaseException | None = None


def in_background(items: Iterator[Item], depth: int, name: str = "loupe-reader") -> Generator[Item]:
    """Yield the same items, made by one thread that keeps `depth` of them ready.

    An error of `items` is raised at its place. Closing this generator closes `items` in the thread and waits until the
    thread has ended: Python aborts a process that ends while a thread is inside native code.
    """
    ready: queue.Queue[_Ready[Item] | _End] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def hand_over(message: _Ready[Item] | _End) -> bool:
        """Whether the consumer still listens."""
        while not stop.is_set():
            try:
                ready.put(message, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for item in items:
                if not hand_over(_Ready(item)):
                    break
            else:
                hand_over(_End())
        except BaseException as error:  # the consumer raises it
            hand_over(_End(error))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=produce, name=name, daemon=True)
    thread.start()
    try:
        while True:
            message = ready.get()
            if isinstance(message, _Ready):
                yield message.item
            elif message.error is None:
                return
            else:
                raise message.error
    finally:
        stop.set()
        thread.join(LONGEST_WAIT)


def mapped_groups(
    function: Callable[[Item], Result], groups: Iterable[Sequence[Item]], threads: int
) -> Generator[list[Result]]:
    """Yield `[function(item) for item in group]` for each group, in order, computed by `threads` threads.

    The next group is begun before the current one is done, so that no thread is idle between two groups.
    """
    if threads == 1:
        for group in groups:
            yield [function(item) for item in group]
        return

    def run(items: Sequence[Item]) -> list[Result]:
        return [function(item) for item in items]

    pending: deque[list[Future[list[Result]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for group in groups:
                size = max(1, -(-len(group) // (threads * CHUNKS_PER_THREAD)))
                pending.append(
                    [pool.submit(run, group[start : start + size]) for start in range(0, len(group), size)]
                )
                if len(pending) > 1:
                    yield [result for chunk in pending.popleft() for result in chunk.result()]
            while pending:
                yield [result for chunk in pending.popleft() for result in chunk.result()]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
