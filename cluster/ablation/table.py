"""The table of an ablation: lines are rows (and baselines on them), columns are metrics, over all seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.ablation.plan import AblationPlan
from pretrain.evaluation.tasks import TASKS

YARDSTICKS = {"grid_bound": "the grid's upper bound", "chance": "chance"}
"""What tasks measure beside the model, with the name of its line; of the metric at IoU 0.5."""

COSTS = {"seconds_per_step": "s/step", "cpu_seconds_per_step": "CPU s/step"}


@dataclass(frozen=True)
class Column:
    """A metric of a task on a split."""

    task: str
    split: str
    metric: str

    @property
    def name(self) -> str:
        return TASKS[self.task].columns[self.metric] if self.task in TASKS else COSTS[self.metric]


@dataclass(frozen=True)
class Line:
    """Column → seed → value. `kind`: "row", "baseline" on the row above it, or "yardstick"."""

    row: str
    title: str
    kind: str
    values: dict[Column, dict[int, float]]


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]


def columns_of(task: str) -> Mapping[str, str]:
    """The metrics of a task that have a column, with the column's title; none for a task that is not known."""
    return TASKS[task].columns if task in TASKS else {}


def make_table(plan: AblationPlan, results: Sequence[dict[str, Any]]) -> Table:
    """Lines in the plan's order, each row's baselines below it, yardsticks last; rows without a result are left out."""
    lines = [line for row in plan.rows for line in _lines_of(plan, row, results)]
    used = {column for line in lines for column in line.values}
    wanted = {
        Column(one.task, one.split, metric): None
        for row in plan.rows
        for one in plan.evaluations_of(row)
        for metric in columns_of(one.task)
    }
    costs = [Column("", "", metric) for metric in COSTS]
    columns = tuple(column for column in [*wanted, *costs] if column in used)
    return Table(plan.title, columns, (*lines, *_yardsticks(columns, results)))


def _lines_of(plan: AblationPlan, row: str, results: Sequence[dict[str, Any]]) -> list[Line]:
    own = {result["seed"]: result for result in results if result["row"] == row}
    if not own:
        return []
    found: dict[str | None, dict[Column, dict[int, float]]] = {
        None: {
            Column("", "", metric): {seed: result["training"][metric] for seed, result in own.items()}
            for metric in COSTS
        }
    }
    for one in plan.evaluations_of(row):
        line = found.setdefault(one.title, {})
        for metric in columns_of(one.task):
            scores = {
                seed: result["evaluations"][one.name]["scores"][metric]
                for seed, result in own.items()
                if one.name in result["evaluations"]
            }
            if scores:
                line[Column(one.task, one.split, metric)] = scores
    title = plan.rows[row].title
    return [
        Line(row, name or title, "baseline" if name else "row", values)
        for name, values in found.items()
        if values
    ]


def _yardsticks(columns: Sequence[Column], results: Sequence[dict[str, Any]]) -> list[Line]:
    """What the grid and luck would get, a mean over all evaluations of a column's task and split."""
    lines = []
    for yardstick, title in YARDSTICKS.items():
        values: dict[Column, dict[int, float]] = {}
        for column in columns:
            seen: dict[int, list[float]] = {}
            for result in results if column.metric.endswith("@0.5") else ():
                for one in result["evaluations"].values():
                    if (one["task"], one["split"]) == (column.task, column.split) and yardstick in one[
                        "scores"
                    ]:
                        seen.setdefault(result["seed"], []).append(one["scores"][yardstick])
            if seen:
                values[column] = {seed: sum(found) / len(found) for seed, found in seen.items()}
        if values:
            lines.append(Line("", title, "yardstick", values))
    return lines


def mean_and_spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation of the sample (n - 1), which one value alone has not."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def shown(line: Line, column: Column) -> str:
    """A cell of the table: `0.412 ± 0.012`; empty where nothing was measured."""
    if column not in line.values:
        return ""
    mean, spread = mean_and_spread(list(line.values[column].values()))
    if line.kind == "yardstick" or spread is None:
        return f"{mean:.3f}"
    return f"{mean:.3f} ± {spread:.3f}"


def as_texts(table: Table) -> tuple[list[str], list[list[str]]]:
    """(head, rows) of plain texts; a column's split is named where the metric stands in more than one."""
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
    """The table with padded columns: readable as it stands, and a table where Markdown is rendered."""
    head, rows = as_texts(table)
    widths = [max(len(row[place]) for row in [head, *rows]) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [("-" * (width - 1) + ":") if place else "-" * width for place, width in enumerate(widths)]
    return "\n".join([line(head), line(rule), *map(line, rows)]) + "\n"


def as_json(table: Table) -> dict[str, Any]:
    """Columns by name; each line's mean, standard deviation and values by seed."""
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
