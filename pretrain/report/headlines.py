"""The numbers at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence

from pretrain.evaluation.tasks import TASKS
from pretrain.report.funnel import kept
from pretrain.report.rows import grouped, percent
from pretrain.report.sources import Curation, Evaluation, Run


def headlines(
    evaluations: Sequence[Evaluation], curations: Sequence[Curation], run: Run | None
) -> list[tuple[str, str, str]]:
    """(number, name, remark) each: scores, pairs kept, steps."""
    entries = [*_recalls(evaluations), *_best(evaluations)]
    pairs, samples = kept(curations)
    if samples:
        entries.append((f"{pairs:,}", "pairs kept", f"of {samples:,} found"))
    if run and run.steps:
        loss = run.steps[-1].get("train/loss")
        remark = f"loss {loss:.3f} at the end" if loss is not None else ""
        entries.append((f"{run.steps[-1]['step']:,}", "steps", remark))
    return entries


def _recalls(evaluations: Sequence[Evaluation]) -> list[tuple[str, str, str]]:
    """R@1 of each evaluation of a retrieval, an entry per direction."""
    return [
        (
            f"{percent(evaluation.result[direction]['R@1'])} %",
            f"R@1 {name}",
            f"{evaluation.name}, {evaluation.result['images']:,} images",
        )
        for evaluation in evaluations
        if evaluation.task in TASKS
        for direction, name in TASKS[evaluation.task].directions.items()
    ]


def _best(evaluations: Sequence[Evaluation]) -> list[tuple[str, str, str]]:
    """Build one entry per task and data: the best evaluation's main score."""
    entries = []
    groups = grouped(evaluations, lambda evaluation: (evaluation.task, evaluation.data))
    for (task, data), group in groups.items():
        score = TASKS[task].chief if task in TASKS else None
        if score is None:
            continue
        rated = [evaluation for evaluation in group if isinstance(evaluation.result.get(score), float)]
        if not rated:
            continue
        best = max(rated, key=lambda evaluation: evaluation.result[score])
        method = f"best of {len(rated)}: {best.method}" if len(rated) > 1 else best.method
        chance = best.result.get("chance")
        by_chance = f"chance {percent(chance)} %" if isinstance(chance, float) else ""
        remark = ", ".join(text for text in (data, method, by_chance) if text)
        entries.append((f"{percent(best.result[score])} %", f"{task} {score}", remark))
    return entries
