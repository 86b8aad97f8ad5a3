"""The numbers at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence

from pretrain.report.funnel import kept
from pretrain.report.rows import grouped, percent
from pretrain.report.sources import Curation, Evaluation, Run

_CHIEF = {
    "classification": "top1",
    "linear-probe": "top1",
    "detection": "mAP@0.5",
    "grounding": "accuracy@0.5",
}


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
    """R@1 both ways of each evaluation."""
    return [
        (
            f"{percent(one.result[way]['R@1'])} %",
            f"R@1 {name}",
            f"{one.name}, {one.result['images']:,} images",
        )
        for one in evaluations
        if one.task == "retrieval"
        for way, name in (("text_to_image", "text → image"), ("image_to_text", "image → text"))
    ]


def _best(evaluations: Sequence[Evaluation]) -> list[tuple[str, str, str]]:
    """Every other task's chief score on each of its data, of the best way where there are several."""
    entries = []
    for (task, data), group in grouped(evaluations, lambda one: (one.task, one.data)).items():
        chief = _CHIEF.get(task, "")
        rated = [one for one in group if isinstance(one.result.get(chief), float)]
        if not rated:
            continue
        best = max(rated, key=lambda one: one.result[chief])
        among = f"best of {len(rated)}: {best.way}" if len(rated) > 1 else best.way
        chance = best.result.get("chance")
        held = f"chance {percent(chance)} %" if isinstance(chance, float) else ""
        remark = ", ".join(part for part in (data, among, held) if part)
        entries.append((f"{percent(best.result[chief])} %", f"{task} {chief}", remark))
    return entries
