"""Ends a run by SIGTERM or SIGINT as by an exception: threads are joined, files closed, and one line says why."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ended_by_signals(run: str) -> Iterator[None]:
    """Raise SystemExit(128 + signal number) in the block on SIGTERM or SIGINT: exit code 143 or 130.

    A second signal is ignored while the block is left, so that a checkpoint that is being written is completed. Does
    nothing outside the main thread, where Python sets no signal handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        if not received:
            received.append(number)
            raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            name = signal.Signals(received[0]).name
            print(
                f"loupe: ended by {name}; the same command goes on from the newest checkpoint of {run}",
                file=sys.stderr,
            )
