"""The slowest steps of a run: which stretches took longest, and what else was there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from pipelines.common.html.charts import short
from pipelines.common.html.page import quiet, table
from pretrain.report.sources import Run

SHOWN = 6
_EXTRA = {  # (column, how its number is written), where it was logged
    "train/slowest_step_seconds": ("slowest step, s", short),
    "train/step_cpu_seconds": ("processor, s a step", short),
    "data/wait_percent": ("waiting for data, %", "{:.1f}".format),
    "train/supervision_share_sampled": ("interactions sampled", "{:.1%}".format),
}


@dataclass(frozen=True)
class Stretch:
    """Steps `first` to `last`, logged as one line: seconds a step, and what stands beside it."""

    first: int
    last: int
    seconds: float
    line: dict[str, Any]
    beside: tuple[str, ...]


def slowest_steps(run: Run) -> str:
    """A table of the stretches with the most seconds a step; nothing where fewer than two were logged."""
    stretches = read_stretches(run)
    if len(stretches) < 2:
        return ""
    usual = median(one.seconds for one in stretches)
    total = sum(one.seconds * (one.last - one.first + 1) for one in stretches)
    over = sum(max(0.0, one.seconds - usual) * (one.last - one.first + 1) for one in stretches)
    slowest = sorted(stretches, key=lambda one: (-one.seconds, one.first))[:SHOWN]
    extra = {name: how for name, how in _EXTRA.items() if any(name in one.line for one in slowest)}
    rows = [
        [
            f"{one.first:,}\u2060–\u2060{one.last:,}" if one.last > one.first else f"{one.last:,}",
            short(one.seconds),
            "; ".join(one.beside) or "–",
            f"{one.seconds / usual:.2f} ×" if usual else "–",
            *(write(one.line[name]) if name in one.line else "–" for name, (_, write) in extra.items()),
        ]
        for one in slowest
    ]
    head = [
        "steps",
        "s a step",
        "what else was there",
        "of the median",
        *(column for column, _ in extra.values()),
    ]
    remark = (
        f"Logged in {len(stretches):,} stretches, {short(total)} s together; the median is {short(usual)} s a step, "
        f"and {100 * over / total if total else 0:.1f} % of all time went into what stretches took beyond it."
    )
    return quiet(remark) + table(head, rows, words={2})


def read_stretches(run: Run) -> list[Stretch]:
    """The lines of the metrics that say how long a step took, in order."""
    schedule = run.config.get("schedule", {})
    every, known = schedule.get("checkpoint_every"), _checkpoints(run)
    found: list[Stretch] = []
    before: dict[str, Any] = {"step": 0}
    for line in run.steps:
        first, last = before["step"] + 1, line["step"]
        seconds = line.get("train/step_seconds")
        if isinstance(seconds, int | float) and last >= first:
            # A checkpoint is written after its step is logged: its time falls to the step that follows.
            written = [
                step
                for step in range(first - 1, last)
                if step > 0 and (step in known or (every and step % every == 0))
            ]
            found.append(Stretch(first, last, float(seconds), line, _beside(before, line, written)))
        before = line
    return found


def _beside(before: dict[str, Any], line: dict[str, Any], written: Sequence[int]) -> tuple[str, ...]:
    said = []
    if before["step"] == 0:
        said.append("the first steps of the run")
    if written:
        places = ", ".join(f"{step:,}" for step in written[:3]) + (" …" if len(written) > 3 else "")
        said.append(f"checkpoint{'s' if len(written) > 1 else ''} written after step {places}")
    if before["step"] > 0:
        begun = [
            name for name, value in line.items() if name.endswith("_loss") and value and not before.get(name)
        ]
        names = ", ".join(
            name.removeprefix("train/").removesuffix("_loss").replace("_", " ") for name in begun
        )
        said += [f"{names} begin{'s' if len(begun) == 1 else ''}"] if begun else []
    bad = (line.get("data/bad_samples") or 0) - (before.get("data/bad_samples") or 0)
    if bad > 0:
        said.append(f"{bad:,.0f} unreadable sample{'s' if bad > 1 else ''}")
    return tuple(said)


def _checkpoints(run: Run) -> set[int]:
    """Steps of the checkpoints that are still there."""
    folder = run.folder / "checkpoints"
    names = [path.name for path in folder.glob("step-*")] if folder.is_dir() else []
    return {int(name.removeprefix("step-")) for name in names if name.removeprefix("step-").isdigit()}
