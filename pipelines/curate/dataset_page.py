"""`OUTPUT/dataset.json`: what the curated data set holds, and by which rules and lists it was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipelines.common.config import output_settings
from pipelines.common.files import join, write_json
from pipelines.curate.config import CurateConfig
from pipelines.curate.identity import recipe_hash
from pipelines.curate.plan import LimitRule, Plan
from pipelines.shards.manifest import Manifest

DATASET = "dataset.json"


def write_dataset(output: str, manifests: Mapping[str, Manifest], plan: Plan, config: CurateConfig) -> None:
    """Write the data set's page for machines: counts, licences, domains, rules in words, lists with their sha256."""
    contents: dict[str, Counter[str]] = {}
    for name in sorted(manifests):
        for kind, counts in manifests[name]["contents"].items():
            contents.setdefault(kind, Counter()).update(counts)
    outputs = [entry for name in sorted(manifests) for entry in manifests[name]["outputs"]]
    rules = []
    for step in plan.steps:
        sources = [] if isinstance(step.rule, LimitRule) else list(step.rule.sources())
        rules.append(
            {"name": step.name, "rule": step.rule.words(), **({"lists": sources} if sources else {})}
        )
    page = {
        "version": 1,
        "shards": len(outputs),
        "samples": sum(entry["samples"] for entry in outputs),
        "bytes": sum(entry["size"] for entry in outputs),
        "config_hash": recipe_hash(config, plan),
        "config": output_settings(config),
        "rules": rules,
        **{kind: dict(sorted(counts.items())) for kind, counts in sorted(contents.items())},
    }
    write_json(join(output, DATASET), page)
