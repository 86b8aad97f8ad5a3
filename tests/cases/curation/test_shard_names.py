"""Shards are ordered by their file names, in which `a-b.tar` comes before `a.tar`."""

import pyarrow.parquet as pq
from raw_shards import pairs, write_tar
from without_ray import without_ray

from pipelines.curate.config import CurateConfig
from pipelines.curate.replay import replay
from pipelines.curate.run import curate

CONFIG = CurateConfig(min_side=64, rules={"same": {"kind": "duplicates", "of": "caption", "keep": "first"}})


def test_a_name_that_begins_another_keeps_its_place(tmp_path, monkeypatch, no_ray):
    without_ray(monkeypatch)
    output = tmp_path / "out"
    for name in ("a", "a b", "a-b"):
        write_tar(tmp_path / "in" / f"{name}.tar", pairs(2, prefix=name.replace(" ", "_")))
    assert curate(CONFIG, str(tmp_path / "in"), str(output)).kept == 2
    outcomes = {
        path.stem: set(pq.read_table(path).column("outcome").to_pylist()) for path in output.glob("status/*")
    }
    assert outcomes == {"a b": {"kept"}, "a-b": {"rejected"}, "a": {"rejected"}}
    again = replay(CONFIG, CONFIG, str(output))
    assert (again.least.kept, again.most.kept, again.today.kept) == (2, 2, 2)
