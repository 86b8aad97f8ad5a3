"""What an ablation leaves: ablation.json, ablation.md, ablation.svg, ablation.html."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cluster.ablation import differences
from cluster.ablation.picture import draw_table
from cluster.ablation.plan import AblationPlan
from cluster.ablation.table import Table, as_json, as_markdown, as_texts, markdown_table
from pipelines.common.files import write_json, write_text
from pipelines.common.html.environment import joined, render
from pipelines.common.html.page import page
from pipelines.common.html.parts import heading, quiet, table
from pipelines.common.html.settings import settings

BETWEEN = "Paired differences over the seeds, with 95% intervals (Student's t):"
SPREAD = "mean ± standard deviation over seeds (n − 1)"


def write_results(
    folder: Path,
    plan: AblationPlan,
    measured: Table,
    results: Sequence[Mapping[str, Any]],  # result.json of each cell: its scores differ by task
    failed: Mapping[str, str],
) -> None:
    """Write the four files into `folder`; `results` are the cells' own, `failed` the reason of each that has none."""
    folder.mkdir(parents=True, exist_ok=True)
    document = as_json(measured) | {
        "cells": list(results),
        "failed": dict(failed),
        "plan": plan.model_dump(mode="json"),
    }
    write_json(folder / "ablation.json", document)
    seeds = sorted({result["seed"] for result in results})
    remark = f"{len(results)} trainings, seeds {', '.join(map(str, seeds)) or 'none'}; {SPREAD}."
    head, rows = differences.as_texts(measured, as_texts(measured)[0], plan.compare)
    between = f"\n{BETWEEN}\n\n{markdown_table(head, rows)}" if rows else ""
    write_text(folder / "ablation.md", f"# {plan.title}\n\n{remark}\n\n{as_markdown(measured)}{between}")
    picture = draw_table(measured)
    write_text(folder / "ablation.svg", picture)
    write_text(folder / "ablation.html", _page(plan, measured, picture, remark, failed))


def _page(plan: AblationPlan, measured: Table, picture: str, remark: str, failed: Mapping[str, str]) -> str:
    head, rows = as_texts(measured)
    rows = [[title.replace(" ", "\u00a0"), *scores] for title, *scores in rows]  # a title stays on one line
    nothing = Markup("")
    reasons = [list(failure) for failure in failed.items()]
    sections = [
        ("Scores", table(head, rows) if rows else nothing),
        ("Differences", _differences(plan, measured)),
        ("Every seed", table(*_by_seed(measured)) if rows else nothing),
        ("Failed", table(["", "reason"], reasons, numbers_from=2) if failed else nothing),
        ("Rows", joined([_row(plan, name) for name in plan.rows])),
        ("Common to all rows", table([], settings({"base": plan.base, **plan.common}), numbers_from=9)),
    ]
    # The picture is Markup that the kit has rendered and escaped.
    lead = render("cluster.ablation", "lead.html", picture=Markup(picture))
    return page(f"loupe: {plan.title}", remark, lead, sections)


def _row(plan: AblationPlan, name: str) -> Markup:
    """What makes a row: where it starts and what it overrides."""
    row, start = plan.rows[name], plan.start_of(name)
    origin = f"after {start[1]} steps of {plan.rows[start[0]].title}" if start else "from random weights"
    overrides = table([], settings(row.overrides), numbers_from=9) if row.overrides else Markup("")
    return joined([heading(row.title), quiet(f"{name}: {origin}"), overrides])


def _differences(plan: AblationPlan, measured: Table) -> Markup:
    """The paired differences that the plan asks for; empty where there are none."""
    head, rows = differences.as_texts(measured, as_texts(measured)[0], plan.compare)
    return joined([quiet(BETWEEN), table(head, rows)]) if rows else Markup("")


def _by_seed(measured: Table) -> tuple[list[str], list[list[str]]]:
    """(head, rows) with a row per line and seed."""
    head, _ = as_texts(measured)
    rows = []
    for line in measured.lines:
        if line.kind == "yardstick":
            continue
        for seed in sorted({seed for values in line.values.values() for seed in values}):
            values = [line.values.get(column, {}).get(seed) for column in measured.columns]
            cells = ["" if value is None else f"{value:.3f}" for value in values]
            rows.append([f"{line.title}, seed {seed}", *cells])
    return head, rows
