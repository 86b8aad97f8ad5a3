"""What a curated output is made with: the settings that decide what comes out, and the lists that rules read."""

from __future__ import annotations

from typing import Any

from pipelines.common.config import hash_of, output_settings
from pipelines.curate.config import CurateConfig
from pipelines.curate.plan import LimitRule, Plan


# Any: what JSON holds.
def recipe_settings(config: CurateConfig, plan: Plan) -> dict[str, Any]:
    """The settings that decide what comes out, with the sha256 of every list under `lists` where rules read some."""
    settings = output_settings(config)
    lists = {
        step.name: [dict(source) for source in step.rule.sources()]
        for step in plan.steps
        if not isinstance(step.rule, LimitRule) and step.rule.sources()
    }
    return {**settings, "lists": lists} if lists else settings


def recipe_hash(config: CurateConfig, plan: Plan) -> str:
    """16 hex digits of `recipe_settings`; without lists those of `config_hash`."""
    return hash_of(recipe_settings(config, plan))
