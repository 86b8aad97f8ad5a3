"""What a curated output is made with: the settings that decide what comes out, and the lists that rules read."""

from __future__ import annotations

from typing import Any

from pipelines.common.config import hash_of, output_settings
from pipelines.curate.config import CurateConfig
from pipelines.curate.plan import LimitRule, Plan
from pipelines.curate.scores.filter_scores import FilterScores


# Any: what JSON holds.
def recipe_settings(config: CurateConfig, plan: Plan) -> dict[str, Any]:
    """The settings that decide what comes out.

    Where rules read lists or models, `lists` and `scores` say by their sha256 which ones: a path does not.
    """
    settings = output_settings(config)
    lists = {
        step.name: [dict(source) for source in step.rule.sources()]
        for step in plan.steps
        if not isinstance(step.rule, LimitRule) and step.rule.sources()
    }
    scores = {
        **{
            group.name: dict(group.settings()) for group in plan.groups if not isinstance(group, FilterScores)
        },
        **{group.name: dict(group.settings()) for group in plan.looks},
    }
    known = {name: of_group for name, of_group in scores.items() if of_group}
    return {**settings, **({"lists": lists} if lists else {}), **({"scores": known} if known else {})}


def recipe_hash(config: CurateConfig, plan: Plan) -> str:
    """16 hex digits of `recipe_settings`; without lists and models those of `config_hash`."""
    return hash_of(recipe_settings(config, plan))
