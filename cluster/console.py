"""What a person sees: bars on a terminal, plain lines when piped, tables at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

PLAIN_SECONDS = 10.0  # between two lines when nobody watches


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yields a function of (done, total) that draws how far the work is; on standard error."""
    with _bar(what) as update:
        yield lambda done, total: update(done, total, "")


@contextmanager
def training_lines(total_steps: int) -> Iterator[tuple[Callable[[dict[str, float]], None], dict[str, float]]]:
    """Yields a function that shows a step's metrics, and the dictionary that holds the newest ones."""
    last: dict[str, float] = {}
    with _bar("training") as update:
        update(0, total_steps, "starting workers")

        def report(metrics: dict[str, float]) -> None:
            last.update(metrics)
            line = (
                f"loss {metrics['train/loss']:.3f}  {metrics['train/images_per_second']:.0f} images/s  "
                f"data wait {metrics['data/wait_percent']:.1f}%"
            )
            update(int(metrics["step"]), total_steps, line)

        yield report, last


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        spoken = [time.monotonic() - PLAIN_SECONDS]

        def say(done: int, total: int, note: str) -> None:
            if time.monotonic() - spoken[0] >= PLAIN_SECONDS or done == total:
                spoken[0] = time.monotonic()
                print(f"{what}: {done} of {total}  {note}".rstrip(), file=sys.stderr, flush=True)

        yield say
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(what, total=None, note="")
        yield lambda done, total, note: bars.update(task, completed=done, total=total, note=note)


def table(values: Mapping[str, object], title: str | None = None) -> None:
    """Nested results as rows `name  value`, on standard output."""
    rows = Table(title=title, show_header=False, box=None, pad_edge=False)
    for name, value in _flat("", values):
        rows.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(rows)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output: the first column is text, the others are numbers, aligned to the right."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for place, title in enumerate(head):
        grid.add_column(title, justify="right" if place else "left")
    for row in rows:
        grid.add_row(*row)
    Console().print(grid)


def _flat(prefix: str, values: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        full = f"{prefix}.{name}" if prefix else str(name)
        if isinstance(value, dict):
            yield from _flat(full, value)
        else:
            yield full, value
