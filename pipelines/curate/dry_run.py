"""What a dry run tells of the run itself: survivors, bytes, work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pipelines.curate.commits import funnel_of
from pipelines.curate.cost import Cost
from pipelines.curate.estimate import Estimate, estimate
from pipelines.curate.pilot import PilotShard
from pipelines.curate.plan import Plan
from pipelines.shards.manifest import Manifest
from pipelines.shards.unit import Unit


def estimate_run(
    units: Sequence[Unit],
    looked_at: Sequence[Unit],
    pilot: Sequence[PilotShard],
    untouched: Iterable[Manifest],
    costs: Sequence[Cost],
    plan: Plan,
) -> Estimate:
    """Estimate what a run over all `units` would give.

    `looked_at`: the units of the dry run, all or a sample of them; `pilot`: what it has counted; `untouched`: commits
    at which a run need not look; `costs`: what its tasks cost.
    """
    has_corpus_rules = bool(plan.corpus_steps())
    if len(looked_at) < len(units):
        return estimate(pilot, [unit.size for unit in units], costs, has_corpus_rules)
    known = [*pilot, *map(_as_counted, untouched)]
    found = estimate(known, [one.size for one in known], costs, has_corpus_rules)
    return replace(found, shards=len(units), pilot_shards=len(units))


def _as_counted(manifest: Manifest) -> PilotShard:
    """A commit as a dry run counts a shard."""
    size = sum(part["size"] for part in manifest["inputs"])
    written = sum(entry["size"] for entry in manifest["outputs"])
    funnel = funnel_of(manifest)
    return PilotShard(size, funnel.pairs, funnel.kept, written)
