"""The slowest steps of a run: which stretches took longest, and what else happened in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from markupsafe import Markup

from pipelines.common.html.numbers import short
from pipelines.common.html.parts import quiet, table
from pretrain.report.sources import Json, Run

SHOWN = 6
_EXTRA = {  # where it was logged: (column, how its number is written)
    "train/slowest_step_seconds": ("slowest step, s", short),
    "train/step_cpu_seconds": ("processor, s per step", short),
    "data/wait_percent": ("waiting for data, %", "{:.1f}".format),
    "train/supervision_share_sampled": ("interactions sampled", "{:.1%}".format),
}


@dataclass(frozen=True)
class Stretch:
    """Steps `first` to `last`, logged as one line: seconds per step, and what else happened in them."""

    first: int
    last: int
    seconds: float
    line: Json
    events: tuple[str, ...]


def slowest_steps(run: Run) -> Markup:
    """A table of the stretches with the most seconds per step; empty where fewer than two were logged."""
    stretches = read_stretches(run)
    if len(stretches) < 2:
        return Markup("")
    usual = median(stretch.seconds for stretch in stretches)
    slowest = sorted(stretches, key=lambda stretch: (-stretch.seconds, stretch.first))[:SHOWN]
    extra = {name: how for name, how in _EXTRA.items() if any(name in stretch.line for stretch in slowest)}
    rows = [
        [
            _steps(stretch),
            short(stretch.seconds),
            "; ".join(stretch.events) or "–",
            f"{stretch.seconds / usual:.2f} ×" if usual else "–",
            *(
                write(stretch.line[name]) if name in stretch.line else "–"
                for name, (_, write) in extra.items()
            ),
        ]
        for stretch in slowest
    ]
    columns = [column for column, _ in extra.values()]
    head = ["steps", "s per step", "other events", "of the median", *columns]
    return quiet(_summary(stretches, usual)) + table(head, rows, words={2})


def _summary(stretches: Sequence[Stretch], usual: float) -> str:
    """How much time all stretches took, and how much of it beyond the median of `usual` seconds per step."""
    total = sum(stretch.seconds * (stretch.last - stretch.first + 1) for stretch in stretches)
    over = sum(
        max(0.0, stretch.seconds - usual) * (stretch.last - stretch.first + 1) for stretch in stretches
    )
    return (
        f"Logged in {len(stretches):,} stretches, {short(total)} s together; the median is {short(usual)} s per step, "
        f"and {100 * over / total if total else 0:.1f} % of all time went into what stretches took beyond it."
    )


def _steps(stretch: Stretch) -> str:
    """The steps of a stretch as a text that does not break."""
    if stretch.last == stretch.first:
        return f"{stretch.last:,}"
    return f"{stretch.first:,}\u2060–\u2060{stretch.last:,}"


def read_stretches(run: Run) -> list[Stretch]:
    """The lines of the metrics that say how long a step took, in order."""
    schedule = run.config.get("schedule", {})
    every, kept = schedule.get("checkpoint_every"), _checkpoints(run)
    stretches: list[Stretch] = []
    before: Json = {"step": 0}
    for line in run.steps:
        first, last = before["step"] + 1, line["step"]
        seconds = line.get("train/step_seconds")
        if isinstance(seconds, int | float) and last >= first:
            # A checkpoint is written after its step is logged: its time falls to the step that follows.
            written = [
                step
                for step in range(first - 1, last)
                if step > 0 and (step in kept or (every and step % every == 0))
            ]
            stretches.append(Stretch(first, last, float(seconds), line, _events(before, line, written)))
        before = line
    return stretches


def _events(before: Json, line: Json, written: Sequence[int]) -> tuple[str, ...]:
    """What else happened since the line before: the start, checkpoints, losses that begin, unreadable samples."""
    events = []
    if before["step"] == 0:
        events.append("the first steps of the run")
    if written:
        places = ", ".join(f"{step:,}" for step in written[:3]) + (" …" if len(written) > 3 else "")
        events.append(f"checkpoint{'s' if len(written) > 1 else ''} written after step {places}")
    if before["step"] > 0:
        begun = [
            name for name, value in line.items() if name.endswith("_loss") and value and not before.get(name)
        ]
        names = ", ".join(
            name.removeprefix("train/").removesuffix("_loss").replace("_", " ") for name in begun
        )
        events += [f"{names} begin{'s' if len(begun) == 1 else ''}"] if begun else []
    bad = (line.get("data/bad_samples") or 0) - (before.get("data/bad_samples") or 0)
    if bad > 0:
        events.append(f"{bad:,.0f} unreadable sample{'s' if bad > 1 else ''}")
    return tuple(events)


def _checkpoints(run: Run) -> set[int]:
    """Steps of the checkpoints that are still there."""
    folder = run.folder / "checkpoints"
    names = [path.name for path in folder.glob("step-*")] if folder.is_dir() else []
    return {int(name.removeprefix("step-")) for name in names if name.removeprefix("step-").isdigit()}
