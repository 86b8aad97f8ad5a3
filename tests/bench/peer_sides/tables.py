"""What the comparison with peers found, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from peer_sides.stage_clock import STAGES


# Any: the report, as it is printed as JSON.
def markdown(report: dict[str, Any]) -> str:
    """Rates, ratios, losses and stages, one table each."""
    names = list(report["costs"])
    parts = [
        _table(
            ("side", "parameters", "FLOPs a pair", "vocabulary", "pairs per CPU second", "per second"),
            _sides(report),
        )
    ]
    parts.append(
        _table(
            ("ratio", "mean", "95% interval", "runs"),
            (
                (
                    name,
                    f"{each['ratio']:.3f}",
                    f"{each['low']:.3f} to {each['high']:.3f}",
                    ", ".join(f"{one:.3f}" for one in each["each"]),
                )
                for name, each in report["ratios"].items()
            ),
        )
    )
    curves = {run["of"]: run["losses"] for run in report["runs"] if run["run"] == 1 and run["losses"]}
    if curves:
        steps = sorted({step for curve in curves.values() for step in curve})
        rows = (
            (str(step), *(f"{curve[step]:.3f}" if step in curve else "" for curve in curves.values()))
            for step in steps
        )
        parts.append(_table(("step, first run", *(f"loss of {name}" for name in curves)), rows))
    if found := report.get("stages"):
        rows = (
            (stage, *(f"{found[name][stage]:.3f}" if stage in found[name] else "" for name in names))
            for stage in (*STAGES, "all")
        )
        parts.append(_table(("CPU milliseconds a pair", *names), rows))
    return "\n\n".join(parts)


def _sides(report: dict[str, Any]) -> Iterable[Sequence[str]]:
    for name, cost in report["costs"].items():
        runs = [run for run in report["runs"] if run["of"] == name]
        rate, on_clock = (
            statistics.median(run[key] for run in runs)
            for key in ("pairs_per_cpu_second", "pairs_per_second")
        )
        yield (
            name,
            f"{cost['parameters']:,}",
            f"{cost['flops_a_pair'] / 1e6:.1f} M",
            f"{cost['vocabulary']:,}",
            f"{rate:.1f}",
            f"{on_clock:.1f}",
        )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
