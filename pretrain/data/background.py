"""Work done ahead of its use, in background threads."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNKS_A_THREAD = 4  # small enough that no thread waits long for the last, large enough to hide the hand-over


def in_background(items: Iterator[Item], depth: int, name: str = "loupe-reader") -> Iterator[Item]:
    """The same items, made by one thread that keeps `depth` of them ready.

    An error of `items` is raised at its place. Closing this iterator ends the thread, and closes `items` there.
    """
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=depth)  # (is it an item, the item or the end)
    stop = threading.Event()

    def hand_over(is_item: bool, what: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put((is_item, what), timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for item in items:
                if not hand_over(True, item):
                    break
            else:
                hand_over(False, None)
        except BaseException as error:  # the consumer raises it
            hand_over(False, error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    threading.Thread(target=produce, name=name, daemon=True).start()
    try:
        while True:
            is_item, what = ready.get()
            if is_item:
                yield what
            elif what is None:
                return
            else:
                raise what
    finally:
        stop.set()


def mapped_groups(
    function: Callable[[Item], Result], groups: Iterable[Sequence[Item]], threads: int
) -> Iterator[list[Result]]:
    """`[function(item) for item in group]` of each group, in order, on so many threads.

    The next group is begun before the one in hand is done, so that no thread idles between two.
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
                size = max(1, -(-len(group) // (threads * CHUNKS_A_THREAD)))
                pending.append(
                    [pool.submit(run, group[start : start + size]) for start in range(0, len(group), size)]
                )
                if len(pending) > 1:
                    yield [result for part in pending.popleft() for result in part.result()]
            while pending:
                yield [result for part in pending.popleft() for result in part.result()]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
