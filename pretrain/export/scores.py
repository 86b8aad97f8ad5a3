"""Scores of a result and the yardsticks beside them, with the names that tables show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Yardstick:
    """The label and the meaning of a number that a score is compared with and that no model was needed for."""

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
"""By the name in `metrics.json`, or its ending (`pointing_chance` is the chance yardstick of `pointing`).

A new yardstick is one line here.
"""

_NO_SCORES = ("seconds", "scale", "inverse_regularisation")  # fractions by type alone: a time, and settings


def flat_scores(result: Mapping[str, Any]) -> list[tuple[str, float]]:
    """("image to text R@1", 0.5) and so on: every score of a result, at any depth but per-class ones."""
    scores: list[tuple[str, float]] = []
    for name, value in result.items():
        if isinstance(value, Mapping) and name not in ("per_class", "skipped"):
            scores += [(f"{name.replace('_', ' ')} {inner}", score) for inner, score in flat_scores(value)]
        elif isinstance(value, float) and name not in _NO_SCORES and split_yardstick(name) is None:
            scores.append((name, value))
    return scores


def flat_yardsticks(result: Mapping[str, Any]) -> list[tuple[str, float]]:
    """("grid_bound", 0.7), ("pointing_chance", 0.1) and so on."""
    return [
        (name, value) for name, value in result.items() if isinstance(value, float) and split_yardstick(name)
    ]


def split_yardstick(name: str) -> tuple[str, str] | None:
    """(score that it is compared with, or "" where it is the task's own; name in `YARDSTICKS`); None for a score."""
    for known in sorted(YARDSTICKS, key=len, reverse=True):
        if name == known or name.endswith(f"_{known}"):
            return name[: -len(known)].rstrip("_"), known
    return None


def way_of(result: Mapping[str, Any]) -> str:
    """The way in which a task was done, where it has several: source of boxes or features, scoring of pairs."""
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
    """The meanings of the yardsticks that occur in results, in one text; empty without any."""
    splits = [split_yardstick(name) for result in results for name, _ in flat_yardsticks(result)]
    known = {split[1] for split in splits if split is not None}
    return "; ".join(
        f"{yardstick.label}: {yardstick.meaning}" for name, yardstick in YARDSTICKS.items() if name in known
    )
