"""Removes what killed processes left in an output."""

from __future__ import annotations

from pipelines.common.files import join, remove_partials
from pipelines.curate.scores.storage import QUARANTINE, SCORES, stored_groups
from pipelines.curate.status import DECISIONS, STATUS
from pipelines.shards.manifest import MANIFESTS


def remove_leftovers(output: str) -> None:
    """Remove the temporary files that killed processes left: once for all shards, a folder's listing being long."""
    scores_of = [f"{SCORES}/{group}" for group in stored_groups(output)]
    for folder in ("", *scores_of, QUARANTINE, DECISIONS, STATUS, MANIFESTS):
        remove_partials(join(output, folder))
