"""Scores on the page: a table for each task, its evaluations as rows, yardsticks beside the scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup

from pipelines.common.html.environment import joined
from pipelines.common.html.parts import folded, heading, quiet, table
from pretrain.evaluation.scores import (
    YARDSTICKS,
    flat_scores,
    flat_yardsticks,
    label,
    meanings,
    split_yardstick,
)
from pretrain.evaluation.task import EvaluationTask
from pretrain.evaluation.tasks import TASKS
from pretrain.report.rows import best_cells, columns_of, grouped, name_columns, percent, union
from pretrain.report.sources import Evaluation, Json


def score_tables(evaluations: Sequence[Evaluation]) -> Markup:
    """Tables of all tasks, known to `TASKS` or not, and what the yardsticks in them mean."""
    parts: list[Markup] = []
    for task, unordered in grouped(evaluations, lambda evaluation: evaluation.task).items():
        by_data = grouped(unordered, lambda evaluation: evaluation.data)
        group = [evaluation for same_data in by_data.values() for evaluation in same_data]
        tables = _tables(task, group)
        if tables:
            remark = TASKS[task].remark if task in TASKS else ""
            parts += [heading(task.capitalize()), quiet(remark), tables]
    explained = meanings(evaluation.result for evaluation in evaluations)
    parts.append(quiet(f"Baselines that need no model: {explained}." if explained else ""))
    return joined(parts)


def _tables(task: str, group: Sequence[Evaluation]) -> Markup:
    """The tables of one task; empty without a score."""
    directions = TASKS[task].directions if task in TASKS else {}
    if directions:
        return _recalls(group, directions)
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


def _recalls(group: Sequence[Evaluation], directions: Mapping[str, str]) -> Markup:
    """A row for each direction of each evaluation. Chance is 1 / images in both directions."""
    levels = ("R@1", "R@5", "R@10")
    heads, names = name_columns(group)
    counts = _counts(group)
    entries = [
        (evaluation, name, direction)
        for direction in directions
        for evaluation, name in zip(group, names, strict=True)
    ]
    scores: list[Json] = [evaluation.result[direction] for evaluation, _, direction in entries]
    rows = [
        [
            *name,
            directions[direction].replace(" ", "\u00a0"),
            *cells,
            percent(1 / evaluation.result["images"]),
            *_numbers(evaluation, counts),
        ]
        for (evaluation, name, direction), cells in zip(entries, columns_of(scores, levels), strict=True)
    ]
    first = len(heads) + 1
    head = [*heads, "", *levels, "R@1 by chance", *counts.values()]
    groups = [("", first), ("scores", 3), ("for comparison", 1), ("", len(counts))]
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
    baselines = [_yardsticks(evaluation.result).get("", {}) for evaluation in group]
    score_names, counts = union(scores), _counts(group)
    yardsticks = [name for name in YARDSTICKS if name in union(baselines)]
    main = Markup("")
    if score_names:
        cells = zip(
            names, columns_of(scores, score_names), columns_of(baselines, yardsticks), group, strict=True
        )
        rows = [
            [*name, *score_cells, *baseline_cells, *_numbers(evaluation, counts)]
            for name, score_cells, baseline_cells, evaluation in cells
        ]
        head = [*heads, *map(label, [*score_names, *yardsticks]), *counts.values()]
        groups = [
            ("", len(heads)),
            ("scores", len(score_names)),
            ("for comparison", len(yardsticks)),
            ("", len(counts)),
        ]
        marked = best_cells(scores, score_names, [evaluation.data for evaluation in group], len(heads))
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
    baselines = [_yardsticks(evaluation.result).get(score, {}) for evaluation, _, score, _ in entries]
    yardsticks = [name for name in YARDSTICKS if name in union(baselines)]
    values = [{"score": value} for *_, value in entries]
    counts = _counts(group)
    cells = zip(entries, columns_of(values, ["score"]), columns_of(baselines, yardsticks), strict=True)
    rows = [
        [*name, label(score), *score_cell, *baseline_cells, *_numbers(evaluation, counts)]
        for (evaluation, name, score, _), score_cell, baseline_cells in cells
    ]
    first = len(heads) + 1
    head = [*heads, "", "score", *map(label, yardsticks), *counts.values()]
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
        members = union(scores)
        if family in ("per_class", "skipped") or not members:
            continue
        rows = [[*name, *cells] for name, cells in zip(names, columns_of(scores, members), strict=True)]
        groups = [("", len(heads)), (label(family), len(members))]
        tables.append(table([*heads, *map(label, members)], rows, numbers_from=len(heads), groups=groups))
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


def _counts(group: Sequence[Evaluation]) -> dict[str, str]:
    """Name and column title of the counts that an evaluation of the group has; its members are of one task."""
    task = group[0].task
    titles = TASKS[task].counts if task in TASKS else EvaluationTask.counts
    return {
        name: title
        for name, title in titles.items()
        if any(isinstance(evaluation.result.get(name), int) for evaluation in group)
    }


def _numbers(evaluation: Evaluation, names: Iterable[str]) -> list[str]:
    numbers = [evaluation.result.get(name) for name in names]
    return [f"{number:,}" if isinstance(number, int) else "" for number in numbers]
