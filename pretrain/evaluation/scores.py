"""Scores and settings in a result (the content of `metrics.json`), baselines, and the names that tables show."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pretrain.evaluation.options import EvaluationOptions
from pretrain.evaluation.tasks import TASKS


@dataclass(frozen=True)
class Yardstick:
    """The label and the meaning of a baseline that needs no model."""

    label: str
    meaning: str


YARDSTICKS: dict[str, Yardstick] = {
    "chance": Yardstick("chance", "random boxes (at IoU 0.5), or one in the number of answers"),
    "chance_object": Yardstick("random object", "the exact box of a random object of the same image"),
    "text_blind": Yardstick("text-blind", "the same answers permuted at random among the image's texts"),
    "grid_bound": Yardstick(
        "grid allows",
        "objects that the best box of whole cells meets at IoU 0.5: what boxes of cells can reach",
    ),
}
"""By the name in `metrics.json`, or its ending (`pointing_chance` is the chance yardstick of `pointing`).

A new yardstick is one line here.
"""

_NO_SCORES = ("per_class", "skipped", "seconds")  # entries of every result


def setting_names(result: Mapping[str, Any]) -> list[str]:
    """Names of the entries that record the task's options.

    Of a task that is not known these are the options that all tasks share, and all entries that hold no numbers.
    """
    task = TASKS.get(str(result.get("task")))
    if task is not None:
        return task.setting_names()
    return [
        name
        for name, value in result.items()
        if name in EvaluationOptions.model_fields or not isinstance(value, int | float | Mapping)
    ]


def flat_scores(result: Mapping[str, Any]) -> list[tuple[str, float]]:
    """("image to text R@1", 0.5) and so on: every score of a result, at any depth but per-class ones.

    A score is a fraction that is neither a setting, nor chosen by the evaluation, nor a baseline, nor a time.
    """
    task = TASKS.get(str(result.get("task")))
    chosen = task.fitted if task is not None else ()
    return _scores(result, {*_NO_SCORES, *setting_names(result), *chosen})


def _scores(values: Mapping[str, Any], left_out: Collection[str] = _NO_SCORES) -> list[tuple[str, float]]:
    scores: list[tuple[str, float]] = []
    for name, value in values.items():
        if name in left_out:
            continue
        if isinstance(value, Mapping):
            scores += [(f"{name.replace('_', ' ')} {inner}", score) for inner, score in _scores(value)]
        elif isinstance(value, float) and split_yardstick(name) is None:
            scores.append((name, value))
    return scores


def flat_yardsticks(result: Mapping[str, Any]) -> list[tuple[str, float]]:
    """("grid_bound", 0.7), ("pointing_chance", 0.1) and so on."""
    return [
        (name, value) for name, value in result.items() if isinstance(value, float) and split_yardstick(name)
    ]


def split_yardstick(name: str) -> tuple[str, str] | None:
    """(score that it is compared with, or "" where it is the task's own; name in `YARDSTICKS`); None for a score."""
    for yardstick in sorted(YARDSTICKS, key=len, reverse=True):
        if name == yardstick or name.endswith(f"_{yardstick}"):
            return name[: -len(yardstick)].rstrip("_"), yardstick
    return None


def method_of(result: Mapping[str, Any]) -> str:
    """The method of a task that has several: source of boxes or features, scoring of pairs."""
    methods = [result.get("proposals"), result.get("features"), result.get("scoring")]
    return ", ".join(str(method).replace("_", " ") for method in methods if method and method != "global")


def label(name: str) -> str:
    """A score's or yardstick's name as a table shows it."""
    split = split_yardstick(name)
    if split is None:
        return name.replace("_", " ").replace("iou", "IoU")
    score, yardstick = split
    return ": ".join(part for part in (label(score), YARDSTICKS[yardstick].label) if part)


def meanings(results: Iterable[Mapping[str, Any]]) -> str:
    """The meanings of the yardsticks that occur in results, in one text; empty without any."""
    splits = [split_yardstick(name) for result in results for name, _ in flat_yardsticks(result)]
    occurring = {split[1] for split in splits if split is not None}
    return "; ".join(
        f"{yardstick.label}: {yardstick.meaning}"
        for name, yardstick in YARDSTICKS.items()
        if name in occurring
    )
