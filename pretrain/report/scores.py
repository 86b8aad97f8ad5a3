"""Scores on the page: a table for each task, its evaluations as rows, yardsticks beside the scores."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pipelines.common.html.environment import joined
from pipelines.common.html.parts import folded, heading, quiet, table
from pretrain.export.scores import YARDSTICKS, flat_scores, flat_yardsticks, meanings, said, split_yardstick
from pretrain.report import REPORTED
from pretrain.report.rows import best_cells, columns_of, grouped, name_columns, percent, union
from pretrain.report.sources import Evaluation, Json

_DIRECTIONS = {"text_to_image": "text\u00a0→\u00a0image", "image_to_text": "image\u00a0→\u00a0text"}
_COUNTS = {
    "images": "images",
    "texts": "captions",
    "objects": "objects",
    "count": "texts",
    "classes": "classes",
    "named_phrases": "phrases",
    "matched_regions": "regions",
}


def score_tables(evaluations: Sequence[Evaluation]) -> Markup:
    """Tables of all tasks, known to `REPORTED` or not, and what the yardsticks in them mean."""
    parts: list[Markup] = []
    for task, unordered in grouped(evaluations, lambda evaluation: evaluation.task).items():
        by_data = grouped(unordered, lambda evaluation: evaluation.data)
        group = [evaluation for same_data in by_data.values() for evaluation in same_data]
        tables = _tables(task, group)
        if tables:
            remark = REPORTED[task].remark if task in REPORTED else ""
            parts += [heading(task.capitalize()), quiet(remark), tables]
    explained = meanings(evaluation.result for evaluation in evaluations)
    parts.append(quiet(f"For comparison, what no model earned: {explained}." if explained else ""))
    return joined(parts)


def _tables(task: str, group: Sequence[Evaluation]) -> Markup:
    """The tables of one task; empty without a score."""
    if task == "retrieval":
        return _retrieval(group)
    if any(score for evaluation in group for score in _yardsticks(evaluation.result)):
        return _paired(group)
    return _plain(group)


def _yardsticks(result: Json) -> dict[str, dict[str, float]]:
    """Score → yardstick → value; the score "" has the yardsticks of the task as a whole."""
    by_score: dict[str, dict[str, float]] = {}
    for name, value in flat_yardsticks(result):
        score, yardstick = split_yardstick(name) or ("", name)
        by_score.setdefault(score, {})[yardstick] = value
    return by_score


def _retrieval(group: Sequence[Evaluation]) -> Markup:
    """A row for each direction of each evaluation."""
    levels = ("R@1", "R@5", "R@10")
    heads, names = name_columns(group)
    entries = [
        (evaluation, name, direction)
        for direction in _DIRECTIONS
        for evaluation, name in zip(group, names, strict=True)
    ]
    scores: list[Json] = [evaluation.result[direction] for evaluation, _, direction in entries]
    rows = [
        # By chance: of the captions too, an image owns 1 in `images`, on average.
        [
            *name,
            _DIRECTIONS[direction],
            *cells,
            percent(1 / evaluation.result["images"]),
            *_counts(evaluation, ["images", "texts"]),
        ]
        for (evaluation, name, direction), cells in zip(entries, columns_of(scores, levels), strict=True)
    ]
    first = len(heads) + 1
    head = [*heads, "", *levels, "R@1 by chance", "images", "captions"]
    groups = [("", first), ("scores", 3), ("for comparison", 1), ("", 2)]
    alike = [(evaluation.data, direction) for evaluation, _, direction in entries]
    marked = best_cells(scores, levels, alike, first)
    return table(head, rows, numbers_from=first, groups=groups, marked=marked)


def _plain(group: Sequence[Evaluation]) -> Markup:
    """A row for each evaluation: scores, yardsticks, counts; below, tables of what is nested deeper."""
    heads, names = name_columns(group)
    scores = [
        {name: value for name, value in flat_scores(evaluation.result) if name in evaluation.result}
        for evaluation in group
    ]
    held = [_yardsticks(evaluation.result).get("", {}) for evaluation in group]
    known, counts = union(scores), _counted(group)
    yardsticks = [name for name in YARDSTICKS if name in union(held)]
    main = Markup("")
    if known:
        cells = zip(names, columns_of(scores, known), columns_of(held, yardsticks), group, strict=True)
        rows = [
            [*name, *own, *beside, *_counts(evaluation, counts)] for name, own, beside, evaluation in cells
        ]
        head = [*heads, *map(said, [*known, *yardsticks]), *(_COUNTS[name] for name in counts)]
        groups = [
            ("", len(heads)),
            ("scores", len(known)),
            ("for comparison", len(yardsticks)),
            ("", len(counts)),
        ]
        marked = best_cells(scores, known, [evaluation.data for evaluation in group], len(heads))
        main = table(head, rows, numbers_from=len(heads), groups=groups, marked=marked)
    return joined([main, *_families(group), folded("by class", _by_class(group))])


def _paired(group: Sequence[Evaluation]) -> Markup:
    """A row for each score of each evaluation, where scores have yardsticks of their own."""
    heads, names = name_columns(group)
    entries = [
        (evaluation, name, score, value)
        for evaluation, name in zip(group, names, strict=True)
        for score, value in flat_scores(evaluation.result)
    ]
    held = [_yardsticks(evaluation.result).get(score, {}) for evaluation, _, score, _ in entries]
    yardsticks = [name for name in YARDSTICKS if name in union(held)]
    values = [{"score": value} for *_, value in entries]
    counts = _counted(group)
    cells = zip(entries, columns_of(values, ["score"]), columns_of(held, yardsticks), strict=True)
    rows = [
        [*name, said(score), *own, *beside, *_counts(evaluation, counts)]
        for (evaluation, name, score, _), own, beside in cells
    ]
    first = len(heads) + 1
    head = [*heads, "", "score", *map(said, yardsticks), *(_COUNTS[name] for name in counts)]
    groups = [("", first), ("", 1), ("for comparison", len(yardsticks)), ("", len(counts))]
    alike = [(evaluation.data, score) for evaluation, _, score, _ in entries]
    marked = best_cells(values, ["score"], alike, first)
    return table(head, rows, numbers_from=first, groups=groups, marked=marked)


def _families(group: Sequence[Evaluation]) -> list[Markup]:
    """Scores one level down, such as those by kind of expression: a table for each family."""
    heads, names = name_columns(group)
    tables = []
    for family in union(
        [name for name, value in evaluation.result.items() if isinstance(value, dict)] for evaluation in group
    ):
        scores = [dict(flat_scores(evaluation.result.get(family) or {})) for evaluation in group]
        known = union(scores)
        if family in ("per_class", "skipped") or not known:
            continue
        rows = [[*name, *cells] for name, cells in zip(names, columns_of(scores, known), strict=True)]
        groups = [("", len(heads)), (said(family), len(known))]
        tables.append(table([*heads, *map(said, known)], rows, numbers_from=len(heads), groups=groups))
    return tables


def _by_class(group: Sequence[Evaluation]) -> Markup:
    """AP@0.5 of each class, evaluations as columns."""
    by_class: list[Json] = [evaluation.result.get("per_class") or {} for evaluation in group]
    rows = [
        [name, *(_precision(scores.get(name)) for scores in by_class)] for name in sorted({*union(by_class)})
    ]
    return table(["AP@0.5", *(evaluation.name for evaluation in group)], rows) if rows else Markup("")


def _precision(scores: object) -> str:
    """A class's average precision in percent; a dash where it was not measured."""
    value = scores.get("AP@0.5") if isinstance(scores, dict) else scores
    return percent(value) if isinstance(value, int | float) else "–"


def _counted(group: Sequence[Evaluation]) -> list[str]:
    return [name for name in _COUNTS if any(isinstance(e.result.get(name), int) for e in group)]


def _counts(evaluation: Evaluation, names: Sequence[str]) -> list[str]:
    counts = [evaluation.result.get(name) for name in names]
    return [f"{count:,}" if isinstance(count, int) else "" for count in counts]
