"""The numbers at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence

from pretrain.report import REPORTED
from pretrain.report.funnel import kept
from pretrain.report.rows import grouped, percent
from pretrain.report.sources import Curation, Evaluation, Run


def headlines(
    evaluations: Sequence[Evaluation], curations: Sequence[Curation], run: Run | None
) -> list[tuple[str, str, str]]:
    """(number, name, remark) each: scores, pairs kept, steps."""
    entries = [*_retrieval(evaluations), *_best(evaluations)]
    pairs, found = kept(curations)
    if found:
        entries.append((f"{pairs:,}", "pairs kept", f"of {found:,} found"))
    if run and run.steps:
        loss = run.steps[-1].get("train/loss")
        remark = f"loss {loss:.3f} at the end" if loss is not None else ""
        entries.append((f"{run.steps[-1]['step']:,}", "steps", remark))
    return entries


def _retrieval(evaluations: Sequence[Evaluation]) -> list[tuple[str, str, str]]:
    """R@1 in both directions of each evaluation."""
    return [
        (
            f"{percent(evaluation.result[direction]['R@1'])} %",
            f"R@1 {name}",
            f"{evaluation.name}, {evaluation.result['images']:,} images",
        )
        for evaluation in evaluations
        if evaluation.task == "retrieval"
        for direction, name in (("text_to_image", "text → image"), ("image_to_text", "image → text"))
    ]


def _best(evaluations: Sequence[Evaluation]) -> list[tuple[str, str, str]]:
    """The headline score of each other task on each of its data, of the best way where there are several."""
    entries = []
    groups = grouped(evaluations, lambda evaluation: (evaluation.task, evaluation.data))
    for (task, data), group in groups.items():
        score = REPORTED[task].headline if task in REPORTED else ""
        rated = [evaluation for evaluation in group if isinstance(evaluation.result.get(score), float)]
        if not rated:
            continue
        best = max(rated, key=lambda evaluation: evaluation.result[score])
        way = f"best of {len(rated)}: {best.way}" if len(rated) > 1 else best.way
        chance = best.result.get("chance")
        by_chance = f"chance {percent(chance)} %" if isinstance(chance, float) else ""
        remark = ", ".join(text for text in (data, way, by_chance) if text)
        entries.append((f"{percent(best.result[score])} %", f"{task} {score}", remark))
    return entries
