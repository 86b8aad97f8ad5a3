"""The table of an ablation over all seeds: lines are rows and baselines on them, columns are metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cluster.ablation.plan import AblationPlan
from cluster.ablation.records import Result
from pretrain.evaluation.tasks import TASKS

YARDSTICKS = {"grid_bound": "the grid's upper bound", "chance": "chance"}
"""Reference values that tasks measure for the metric at IoU 0.5 → the name of their line."""

COSTS = {"seconds_per_step": "s/step", "cpu_seconds_per_step": "CPU s/step"}


@dataclass(frozen=True)
class Column:
    """A metric of a task on a split; costs of training have neither task nor split."""

    task: str
    split: str
    metric: str

    @property
    def name(self) -> str:
        """The column's heading."""
        return TASKS[self.task].columns[self.metric] if self.task in TASKS else COSTS[self.metric]


@dataclass(frozen=True)
class Line:
    """Values by column and seed. `kind`: "row", "baseline" (on the row above it) or "yardstick" (a reference)."""

    row: str
    title: str
    kind: str
    values: dict[Column, dict[int, float]]


@dataclass(frozen=True)
class Table:
    """Lines and columns in the order in which they are shown."""

    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


def columns_of(task: str) -> Mapping[str, str]:
    """The metrics of a task that have a column, with the column's title; none for a task that is not known."""
    return TASKS[task].columns if task in TASKS else {}


def make_table(ablation_plan: AblationPlan, results: Sequence[Result]) -> Table:
    """The table of these results: rows in the plan's order, baselines below their row, references last.

    Rows without a result, and metrics that nothing was measured of, are left out.
    """
    lines = [line for row in ablation_plan.rows for line in _lines_of(ablation_plan, row, results)]
    used = {column for line in lines for column in line.values}
    wanted = {
        Column(evaluation.task, evaluation.split, metric): None
        for row in ablation_plan.rows
        for evaluation in ablation_plan.evaluations_of(row)
        for metric in columns_of(evaluation.task)
    }
    costs = [Column("", "", metric) for metric in COSTS]
    columns = tuple(column for column in [*wanted, *costs] if column in used)
    return Table(ablation_plan.title, columns, (*lines, *_yardsticks(columns, results)))


def _lines_of(ablation_plan: AblationPlan, row: str, results: Sequence[Result]) -> list[Line]:
    """The row's own line with its costs, then a line for each title among its evaluations."""
    by_seed = {result["seed"]: result for result in results if result["row"] == row}
    if not by_seed:
        return []
    costs = {
        "seconds_per_step": {s: result["training"]["seconds_per_step"] for s, result in by_seed.items()},
        "cpu_seconds_per_step": {
            s: result["training"]["cpu_seconds_per_step"] for s, result in by_seed.items()
        },
    }
    lines: dict[str | None, dict[Column, dict[int, float]]] = {
        None: {Column("", "", metric): costs[metric] for metric in COSTS}
    }
    for evaluation in ablation_plan.evaluations_of(row):
        values = lines.setdefault(evaluation.title, {})
        for metric in columns_of(evaluation.task):
            scores = {
                seed: result["evaluations"][evaluation.name]["scores"][metric]
                for seed, result in by_seed.items()
                if metric in result["evaluations"].get(evaluation.name, {"scores": {}})["scores"]
            }
            if scores:
                values[Column(evaluation.task, evaluation.split, metric)] = scores
    title = ablation_plan.rows[row].title
    return [
        Line(row, name or title, "baseline" if name else "row", values)
        for name, values in lines.items()
        if values
    ]


def _yardsticks(columns: Sequence[Column], results: Sequence[Result]) -> list[Line]:
    """Reference lines: for each seed the mean over all evaluations of a column's task and split."""
    lines = []
    for yardstick, title in YARDSTICKS.items():
        values: dict[Column, dict[int, float]] = {}
        for column in columns:
            by_seed: dict[int, list[float]] = {}
            for result in results if column.metric.endswith("@0.5") else ():
                for evaluation in result["evaluations"].values():
                    same = (evaluation["task"], evaluation["split"]) == (column.task, column.split)
                    if same and yardstick in evaluation["scores"]:
                        by_seed.setdefault(result["seed"], []).append(evaluation["scores"][yardstick])
            if by_seed:
                values[column] = {seed: sum(scores) / len(scores) for seed, scores in by_seed.items()}
        if values:
            lines.append(Line("", title, "yardstick", values))
    return lines


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n - 1); the latter is None for a single value."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def shown(line: Line, column: Column) -> str:
    """A cell of the table as text: `0.412 ± 0.012`; empty where nothing was measured."""
    if column not in line.values:
        return ""
    mean, spread = mean_and_spread(list(line.values[column].values()))
    if line.kind == "yardstick" or spread is None:
        return f"{mean:.3f}"
    return f"{mean:.3f} ± {spread:.3f}"


def as_texts(table: Table) -> tuple[list[str], list[list[str]]]:
    """(head, rows) as plain texts; the head names a column's split where another split has the same metric."""
    names = [column.name for column in table.columns]
    head = [
        f"{column.name}, {column.split}" if names.count(column.name) > 1 else column.name
        for column in table.columns
    ]
    rows = [
        [
            f"— {line.title}" if line.kind == "baseline" else line.title,
            *(shown(line, column) for column in table.columns),
        ]
        for line in table.lines
    ]
    return ["", *head], rows


def as_markdown(table: Table) -> str:
    """The table as Markdown."""
    return markdown_table(*as_texts(table))


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Texts as Markdown with padded columns, so that it can be read unrendered as well."""
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * (width - 1) + ":") if place else "-" * width for place, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *map(line, rows)]) + "\n"


def as_json(table: Table) -> dict[str, object]:
    """The table as JSON values: names of columns; each line's mean, standard deviation and values by seed."""
    head, _ = as_texts(table)
    lines = []
    for line in table.lines:
        scores = {}
        for name, column in zip(head[1:], table.columns, strict=True):
            if column in line.values:
                mean, spread = mean_and_spread(list(line.values[column].values()))
                scores[name] = {"mean": mean, "standard_deviation": spread, "seeds": line.values[column]}
        lines.append({"row": line.row, "title": line.title, "kind": line.kind, "scores": scores})
    return {"title": table.title, "columns": head[1:], "lines": lines}
