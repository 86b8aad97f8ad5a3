"""Input for the integration tests: a small icon world, curated on the test session's Ray cluster."""

import os
from pathlib import Path

import pytest

# Ray runs its workers at niceness 15 by default: beside other work on the machine, training hardly advances.
os.environ.setdefault("RAY_worker_niceness", "0")


@pytest.fixture(scope="session")
def icon_world(tmp_path_factory) -> Path:
    """Raw shards of 240 training and 64 test pairs, 64 px."""
    from pipelines.icon_world import render_world

    folder = tmp_path_factory.mktemp("icons") / "world"
    render_world(str(folder), 240, 0, image_size=64, test_pairs=64, unseen_pairs=64, samples_per_shard=80)
    return folder


@pytest.fixture(scope="session")
def curated_icons(icon_world, ray_cluster, tmp_path_factory) -> str:
    """The training pairs of `icon_world`, curated through Ray Data."""
    from pipelines.curate.config import CurateConfig
    from pipelines.curate.run import curate

    folder = tmp_path_factory.mktemp("icons") / "curated"
    curate(CurateConfig(min_side=32), str(icon_world / "train"), str(folder))
    return str(folder)
