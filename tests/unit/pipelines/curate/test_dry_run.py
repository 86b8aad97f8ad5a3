"""What a dry run tells of a run: commits that need no look are counted in, a sample is scaled."""

from dataclasses import asdict

import pytest

from pipelines.curate.config import CurateConfig
from pipelines.curate.cost import sum_costs
from pipelines.curate.dry_run import estimate_run
from pipelines.curate.funnel import Funnel
from pipelines.curate.pilot import PilotShard
from pipelines.curate.plan import make_plan
from pipelines.shards.unit import Unit

PLAN = make_plan(CurateConfig())
UNITS = [Unit(str(number), "", 100) for number in range(4)]
COSTS = sum_costs([{"seconds": {"facts": 2.0}, "timed_pairs": 10}])


def test_commits_count_as_they_are_and_cost_nothing():
    commit = {
        "inputs": [{"size": 100}, {"size": 100}, {"size": 100}],
        "outputs": [{"size": 700}],
        "funnel": asdict(Funnel(pairs=30, kept=20)),
    }
    found = estimate_run(UNITS, UNITS, [PilotShard(100, 10, 5, 50.0)], [commit], COSTS, PLAN)
    assert (found.is_exact, found.shards, found.pilot_shards) == (True, 4, 4)
    assert (found.kept, found.bytes, found.core_seconds) == ((25, 25, 25), (750, 750, 750), 2.0)


def test_a_sample_is_scaled_by_bytes():
    pilot = [PilotShard(100, 10, 5, 50.0), PilotShard(100, 10, 7, 70.0)]
    found = estimate_run(UNITS, UNITS[:2], pilot, [], COSTS, PLAN)
    assert (found.is_exact, found.shards, found.pilot_shards) == (False, 4, 2)
    assert (found.kept.middle, found.bytes.middle, found.core_seconds) == pytest.approx((24, 240, 4.0))
