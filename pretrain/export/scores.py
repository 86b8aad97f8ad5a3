"""The fractions of a result by kind: scores, and the yardsticks that scores are held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Yardstick:
    """What a number that no model earned is called in a table, and what it means."""

    label: str
    meaning: str


YARDSTICKS: dict[str, Yardstick] = {
    "chance": Yardstick("chance", "random boxes (at IoU 0.5), or one in the number of answers"),
    "chance_object": Yardstick("random object", "the exact box of a random object of the same image"),
    "text_blind": Yardstick("text-blind", "the same answers dealt at random among the image's texts"),
    "grid_bound": Yardstick(
        "grid allows",
        "objects that the best box of whole cells meets at IoU 0.5: what boxes of cells can reach",
    ),
}
"""By the name in `metrics.json`, or what a name ends in (`pointing_chance` is chance at `pointing`).

A new yardstick is one line here.
"""

_NO_SCORES = ("seconds", "scale", "inverse_regularisation")  # what it took, and what was chosen


def flat_scores(result: Mapping[str, Any]) -> list[tuple[str, float]]:
    """("image to text R@1", 0.5) and so on: every score of a result, at any depth but per-class ones."""
    found: list[tuple[str, float]] = []
    for name, value in result.items():
        if isinstance(value, Mapping) and name not in ("per_class", "skipped"):
            found += [(f"{name.replace('_', ' ')} {inner}", score) for inner, score in flat_scores(value)]
        elif isinstance(value, float) and name not in _NO_SCORES and split_yardstick(name) is None:
            found.append((name, value))
    return found


def flat_yardsticks(result: Mapping[str, Any]) -> list[tuple[str, float]]:
    """("grid_bound", 0.7), ("pointing_chance", 0.1) and so on."""
    return [
        (name, value) for name, value in result.items() if isinstance(value, float) and split_yardstick(name)
    ]


def split_yardstick(name: str) -> tuple[str, str] | None:
    """(score that it is held against, or "" where it is the task's own; name in `YARDSTICKS`); None for a score."""
    for known in sorted(YARDSTICKS, key=len, reverse=True):
        if name == known or name.endswith(f"_{known}"):
            return name[: -len(known)].rstrip("_"), known
    return None


def way_of(result: Mapping[str, Any]) -> str:
    """How the task was done, where it has several ways: where boxes or features came from, how pairs were scored."""
    ways = [result.get("proposals"), result.get("features"), result.get("scoring")]
    return ", ".join(str(way).replace("_", " ") for way in ways if way and way != "global")


def said(name: str) -> str:
    """A score's or yardstick's name as a table shows it."""
    split = split_yardstick(name)
    if split is None:
        return name.replace("_", " ").replace("iou", "IoU")
    score, known = split
    return ": ".join(part for part in (said(score), YARDSTICKS[known].label) if part)


def meanings(results: Iterable[Mapping[str, Any]]) -> str:
    """What the yardsticks that occur in results mean, in one text; empty without any."""
    known = {split_yardstick(name)[1] for result in results for name, _ in flat_yardsticks(result)}  # type: ignore[index]
    return "; ".join(f"{one.label}: {one.meaning}" for name, one in YARDSTICKS.items() if name in known)
