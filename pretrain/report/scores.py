"""Scores on the page: a table for each task, its evaluations as rows, yardsticks beside the scores."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from pipelines.common.html.page import folded, quiet, table
from pretrain.export.scores import YARDSTICKS, flat_scores, flat_yardsticks, meanings, said, split_yardstick
from pretrain.report.rows import best_cells, columns_of, grouped, percent, union, who
from pretrain.report.sources import Evaluation

_WAYS = {"text_to_image": "text\u00a0→\u00a0image", "image_to_text": "image\u00a0→\u00a0text"}
_REMARKS = {
    "retrieval": "Zero-shot, in percent; ties count against the model.",
    "classification": "Zero-shot from the classes' names, in percent; ties count against the model.",
    "linear-probe": "A linear classifier on frozen features, in percent.",
    "detection": "All objects of the data's classes, found by the classes' names alone; mean average precision in "
    "percent.",
    "grounding": "One box for each referring expression; share of right ones in percent.",
    "alignment": "Phrases whose strongest cell lies in their object, regions whose best phrase names them; in percent.",
}
_COUNTS = {
    "images": "images",
    "texts": "captions",
    "objects": "objects",
    "count": "texts",
    "classes": "classes",
    "named_phrases": "phrases",
    "matched_regions": "regions",
}


def score_tables(evaluations: Sequence[Evaluation]) -> str:
    """Tables of all tasks, and what the yardsticks in them mean."""
    parts = []
    for task, found in grouped(evaluations, lambda one: one.task).items():
        group = [one for same in grouped(found, lambda one: one.data).values() for one in same]
        paired = any(split_yardstick(name)[0] for one in group for name, _ in flat_yardsticks(one.result))  # type: ignore[index]
        shown = _retrieval(group) if task == "retrieval" else _paired(group) if paired else _plain(group)
        if shown:
            parts.append(f"<h3>{html.escape(task.capitalize())}</h3>{quiet(_REMARKS.get(task, ''))}{shown}")
    explained = meanings(one.result for one in evaluations)
    return "".join(parts) + quiet(f"For comparison, what no model earned: {explained}." if explained else "")


def _retrieval(group: Sequence[Evaluation]) -> str:
    """A row for each way of each evaluation."""
    levels = ("R@1", "R@5", "R@10")
    heads, names = who(group)
    entries = [(one, name, way) for way in _WAYS for one, name in zip(group, names, strict=True)]
    scores = [one.result[way] for one, _, way in entries]
    cells = columns_of(scores, levels)
    rows = [
        # By chance: of the captions too, an image owns 1 in `images`, on average.
        [*name, _WAYS[way], *own, percent(1 / one.result["images"]), *_counts(one, ["images", "texts"])]
        for (one, name, way), own in zip(entries, cells, strict=True)
    ]
    first = len(heads) + 1
    head = [*heads, "", *levels, "R@1 by chance", "images", "captions"]
    groups = [("", first), ("scores", 3), ("for comparison", 1), ("", 2)]
    marked = best_cells(scores, levels, [(one.data, way) for one, _, way in entries], first)
    return table(head, rows, numbers_from=first, groups=groups, marked=marked)


def _plain(group: Sequence[Evaluation]) -> str:
    """A row for each evaluation: scores, yardsticks, counts; tables below for what lies deeper."""
    heads, names = who(group)
    scores = [{name: value for name, value in flat_scores(one.result) if name in one.result} for one in group]
    held = [dict(flat_yardsticks(one.result)) for one in group]
    known = union(scores)
    yardsticks, counts = [name for name in YARDSTICKS if name in union(held)], _counted(group)
    main = ""
    if known:
        cells = zip(names, columns_of(scores, known), columns_of(held, yardsticks), group, strict=True)
        rows = [[*name, *own, *beside, *_counts(one, counts)] for name, own, beside, one in cells]
        head = [*heads, *map(said, [*known, *yardsticks]), *(_COUNTS[name] for name in counts)]
        groups = [
            ("", len(heads)),
            ("scores", len(known)),
            ("for comparison", len(yardsticks)),
            ("", len(counts)),
        ]
        marked = best_cells(scores, known, [one.data for one in group], len(heads))
        main = table(head, rows, numbers_from=len(heads), groups=groups, marked=marked)
    return main + _families(group) + folded("by class", _by_class(group))


def _paired(group: Sequence[Evaluation]) -> str:
    """A row for each score of each evaluation, where every score has yardsticks of its own."""
    heads, names = who(group)
    entries = []
    for one, name in zip(group, names, strict=True):
        held: dict[str, dict[str, float]] = {}
        for full, value in flat_yardsticks(one.result):
            score, known = split_yardstick(full)  # type: ignore[misc]
            held.setdefault(score, {})[known] = value
        entries += [
            (one, name, score, {"score": value}, held.get(score, {}))
            for score, value in flat_scores(one.result)
        ]
    yardsticks = [name for name in YARDSTICKS if any(name in own for *_, own in entries)]
    values, beside = [entry[3] for entry in entries], [entry[4] for entry in entries]
    counts = _counted(group)
    rows = [
        [*name, said(score), *own, *others, *_counts(one, counts)]
        for (one, name, score, _, _), own, others in zip(
            entries, columns_of(values, ["score"]), columns_of(beside, yardsticks), strict=True
        )
    ]
    first = len(heads) + 1
    head = [*heads, "", "score", *map(said, yardsticks), *(_COUNTS[name] for name in counts)]
    groups = [("", first), ("", 1), ("for comparison", len(yardsticks)), ("", len(counts))]
    marked = best_cells(values, ["score"], [(one.data, score) for one, _, score, _, _ in entries], first)
    return table(head, rows, numbers_from=first, groups=groups, marked=marked)


def _families(group: Sequence[Evaluation]) -> str:
    """Scores one level down, such as those by kind of expression: a table for each family."""
    heads, names = who(group)
    found = ""
    for family in union(
        [name for name, value in one.result.items() if isinstance(value, dict)] for one in group
    ):
        inner = [dict(flat_scores(one.result.get(family) or {})) for one in group]
        known = union(inner)
        if family in ("per_class", "skipped") or not known:
            continue
        rows = [[*name, *own] for name, own in zip(names, columns_of(inner, known), strict=True)]
        groups = [("", len(heads)), (said(family), len(known))]
        found += table([*heads, *map(said, known)], rows, numbers_from=len(heads), groups=groups)
    return found


def _by_class(group: Sequence[Evaluation]) -> str:
    """AP@0.5 of each class, evaluations as columns."""
    found = [one.result.get("per_class") or {} for one in group]
    classes = sorted({name for one in found for name in one})
    rows = [[name, *(_of_class(one.get(name)) for one in found)] for name in classes]
    return table(["AP@0.5", *(one.name for one in group)], rows) if rows else ""


def _of_class(value: Any) -> str:
    value = value.get("AP@0.5") if isinstance(value, dict) else value
    return percent(value) if isinstance(value, int | float) else "–"


def _counted(group: Sequence[Evaluation]) -> list[str]:
    return [name for name in _COUNTS if any(isinstance(one.result.get(name), int) for one in group)]


def _counts(one: Evaluation, names: Sequence[str]) -> list[str]:
    found = [one.result.get(name) for name in names]
    return [f"{value:,}" if isinstance(value, int) else "" for value in found]
