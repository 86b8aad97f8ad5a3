"""`OUTPUT/dataset.json`: what the curated data set holds, and by which rules and lists it was made."""

from __future__ import annotations

from pipelines.common.config import output_settings
from pipelines.common.files import join, write_json
from pipelines.curate.commits import Totals
from pipelines.curate.config import CurateConfig
from pipelines.curate.identity import recipe_hash
from pipelines.curate.plan import LimitRule, Plan

DATASET = "dataset.json"


def write_dataset(output: str, totals: Totals, plan: Plan, config: CurateConfig) -> None:
    """Write the data set's page for machines: counts, licences, domains, rules in words, lists with their sha256."""
    rules = []
    for step in plan.steps:
        sources = [] if isinstance(step.rule, LimitRule) else list(step.rule.sources())
        rules.append(
            {"name": step.name, "rule": step.rule.words(), **({"lists": sources} if sources else {})}
        )
    page = {
        "version": 1,
        "shards": totals.shards,
        "samples": totals.samples,
        "bytes": totals.bytes,
        "config_hash": recipe_hash(config, plan),
        "config": output_settings(config),
        "rules": rules,
        **{kind: dict(sorted(counts.items())) for kind, counts in sorted(totals.contents.items())},
    }
    write_json(join(output, DATASET), page)
