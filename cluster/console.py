"""Progress as bars on a terminal and as plain lines when piped; tables of results."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeGuard

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
from rich.text import Text

PIPED_WIDTH = 160  # characters of a table's line where standard output is no terminal
PLAIN_SECONDS = 10.0  # between two lines where standard error is no terminal


class Tick(Protocol):
    """Shows how far the work is: so much of a total (None: unknown), and what is being done."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None: ...


@contextmanager
def progress(what: str) -> Iterator[Tick]:
    """Yield a function that shows on standard error how far the work is."""
    with _bar(what) as update:
        yield lambda done, total, note="": update(done, total, note)


@contextmanager
def training_lines(
    total_steps: int, first_note: str = ""
) -> Iterator[tuple[Callable[[dict[str, float]], None], dict[str, float]]]:
    """Yield a function that shows the metrics of a step, and the dictionary that holds the newest ones.

    `first_note` is shown until the first step ends.
    """
    last: dict[str, float] = {}
    with _bar("training") as update:
        update(0, total_steps, first_note)

        def report(metrics: dict[str, float]) -> None:
            last.update(metrics)
            line = (
                f"loss {metrics['train/loss']:.3f}  {metrics['train/images_per_second']:.0f} images/s  "
                f"data wait {metrics['data/wait_percent']:.1f}%"
            )
            update(int(metrics["step"]), total_steps, line)

        yield report, last


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """Yield a function of (done, total, note): a bar on a terminal, else a line every PLAIN_SECONDS."""
    console = Console(stderr=True)
    if not console.is_terminal:
        printed = time.monotonic() - PLAIN_SECONDS

        def print_line(done: int, total: int | None, note: str) -> None:
            nonlocal printed
            if time.monotonic() - printed >= PLAIN_SECONDS or done == total:
                printed = time.monotonic()
                of_total = "" if total is None else f" of {total}"
                print(f"{what}: {done}{of_total}  {note}".rstrip(), file=sys.stderr, flush=True)

        yield print_line
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
        # As texts: rich would take brackets of a path for its own markup.
        rows.add_row(Text(name), Text(_plain(value)))
    _output().print(rows)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output; columns of numbers are aligned to the right."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for place, title in enumerate(head):
        cells = [row[place] for row in rows if row[place]]
        numbers = bool(cells) and all(cell[0].isdigit() for cell in cells)
        grid.add_column(title, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(Text, row))
    _output().print(grid)


def _output() -> Console:
    """Standard output; where it is no terminal, with lines wide enough that paths and reasons are not broken."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPED_WIDTH)


def _flat(prefix: str, values: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Yield (dotted name, value) of nested values; entries of a list of mappings are named by their number, from 1."""
    for name, value in values.items():
        full = f"{prefix}.{name}" if prefix else str(name)
        if _is_list(value) and any(isinstance(entry, Mapping) for entry in value):
            value = {str(number): entry for number, entry in enumerate(value, 1)}
        if isinstance(value, Mapping) and value:
            yield from _flat(full, value)
        else:
            yield full, value


def _plain(value: object) -> str:
    """A value as a person writes it: no brackets, quotes or names of Python."""
    if value is None or (isinstance(value, Mapping) and not value):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if _is_list(value):
        return ", ".join(map(_plain, value)) or "none"
    return str(value)


def _is_list(value: object) -> TypeGuard[Collection[object]]:
    return isinstance(value, list | tuple | set | frozenset)
