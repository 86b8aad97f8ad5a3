"""What a run learned from: each folder of its data, and of a curated one what was kept and what was not."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pipelines.common.html.environment import joined
from pipelines.common.html.parts import bar, quiet, table
from pretrain.report.sources import Curation, Json, Run


def data_funnel(curations: Sequence[Curation], run: Run | None) -> Markup:
    """The run's shards in a line, then a funnel for each curation; empty where neither is known."""
    shards = run.document.get("shards", []) if run else []
    summary = ""
    if run and shards:
        total = sum(shard["samples"] for shard in shards)
        plural = "s" if len(shards) > 1 else ""
        summary = f"{total:,} pairs in {len(shards):,} shard{plural} of {run.document.get('data')}."
    funnels = [
        _funnel(curation.report)
        if curation.report
        else quiet(f"{curation.uri} has no report of its curation.")
        for curation in curations
    ]
    return joined([quiet(summary), *funnels])


def kept(curations: Sequence[Curation]) -> tuple[int, int]:
    """Pairs kept and samples found, of all curations with a report."""
    counts = [curation.report["funnel"] for curation in curations if curation.report]
    return sum(funnel["kept"] for funnel in counts), sum(funnel["samples"] for funnel in counts)


def _funnel(report: Json) -> Markup:
    """A row per stage of one curation, with its count, its share of the samples and a bar."""
    counts = report["funnel"]
    total = counts["samples"]
    stages = [("found in the shards", total, "plain"), ("not readable", counts["quarantined"], "bad")]
    stages += [
        (f"rejected: {item['name'].replace('_', ' ')}{_limit(item)}", item["rejected_in_order"], "bad")
        for item in counts["filters"]
    ]
    stages.append(("kept", counts["kept"], "good"))
    rows = [
        [name, f"{count:,}", f"{100 * count / total if total else 0:.1f} %", bar(count, total, kind)]
        for name, count, kind in stages
    ]
    remark = (
        f"{report['input']}, filters in their order; the curation's own report.html shows rejected pairs."
    )
    return joined([quiet(remark), table([], rows, words={3})])


def _limit(counts: Json) -> str:
    """The setting that decided, where the report names it; reports of older versions name key and limit apart."""
    if "words" in counts:
        return f" ({counts['words']})"
    if "limit_name" not in counts or "limit" not in counts:
        return ""
    return f" ({counts['limit_name']} {counts['limit']})"
