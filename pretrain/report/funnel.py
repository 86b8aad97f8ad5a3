"""What a run learned from: each folder of its data, and of a curated one what was kept and what was not."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

from pipelines.common.html.page import bar, quiet
from pretrain.report.sources import Curation, Run


def data_funnel(curations: Sequence[Curation], run: Run | None) -> str:
    """The run's shards in a line, then a funnel for each curation; nothing where neither is known."""
    shards = run.document.get("shards", []) if run else []
    said = ""
    if run and shards:
        total = sum(shard["samples"] for shard in shards)
        said = quiet(
            f"{total:,} pairs in {len(shards):,} shard{'s' if len(shards) > 1 else ''} of {run.document.get('data')}."
        )
    return said + "".join(_funnel(one.report) if one.report else _unknown(one.uri) for one in curations)


def kept(curations: Sequence[Curation]) -> tuple[int, int]:
    """Pairs kept and samples found, of all curations with a report."""
    counts = [one.report["funnel"] for one in curations if one.report]
    return sum(one["kept"] for one in counts), sum(one["samples"] for one in counts)


def _unknown(uri: str) -> str:
    return quiet(f"{uri} has no report of its curation.")


def _funnel(report: dict[str, Any]) -> str:
    counts = report["funnel"]
    total = counts["samples"]
    rows = [("found in the shards", total, "plain"), ("not readable", counts["quarantined"], "bad")]
    rows += [
        (f"rejected: {one['name'].replace('_', ' ')}{_limit(one)}", one["rejected_in_order"], "bad")
        for one in counts["filters"]
    ]
    rows.append(("kept", counts["kept"], "good"))
    body = "".join(
        f'<tr><td>{html.escape(name)}</td><td class="number">{count:,}</td>'
        f'<td class="number">{100 * count / total if total else 0:.1f} %</td><td>{bar(count, total, kind)}</td></tr>'
        for name, count, kind in rows
    )
    remark = (
        f"{report['input']}, filters in their order; the curation's own report.html shows rejected pairs."
    )
    return f'{quiet(remark)}<div class="scroll"><table><tbody>{body}</tbody></table></div>'


def _limit(one: dict[str, Any]) -> str:
    """The setting that decided, where the report names it."""
    return f" ({one['limit_name']} {one['limit']})" if "limit_name" in one and "limit" in one else ""
