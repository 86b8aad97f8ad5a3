"""What is committed is not written again by the run that goes on, and never stands beside files of another recipe."""

import json

import pytest
from raw_shards import CAPTION, pairs, picture, write_tar
from without_ray import without_ray

from pipelines.curate import write
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate
from pipelines.curate.tasks import WriteShard

SAME_CAPTION = {"same": {"kind": "duplicates", "of": "caption", "keep": "first"}}


class Killed(BaseException):
    """The end of a process, which no code of a run handles."""


@pytest.fixture(autouse=True)
def _without_ray(monkeypatch, no_ray):
    without_ray(monkeypatch)


def shards(folder) -> None:
    for name in "0123":
        members = pairs(2, prefix=f"s{name}_")  # the same captions in each
        small = {f"small{name}.jpg": picture(40, 40), f"small{name}.txt": CAPTION}
        write_tar(folder / f"{name}.tar", members | small)


def files(output, kinds=("*.tar", "*.parquet", "decisions/*", "status/*", "manifests/*", "dataset.json")):
    return {path: path.read_bytes() for kind in kinds for path in output.glob(kind)}


def times(output) -> dict:
    kinds = ("?.tar", "?.*.parquet", "scores/*/*", "decisions/*", "status/*", "manifests/*")
    return {path: path.stat().st_mtime_ns for kind in kinds for path in output.glob(kind)}


@pytest.mark.parametrize("rules", [{}, SAME_CAPTION])
def test_a_run_that_goes_on_writes_only_what_was_not_committed(tmp_path, monkeypatch, rules):
    config = CurateConfig(min_side=64, rules=rules)
    shards(tmp_path / "in")
    call = WriteShard.__call__

    def ends_at_2(self, shard):
        if shard.name == "2":
            raise Killed
        return call(self, shard)

    with monkeypatch.context() as patch:
        patch.setattr(WriteShard, "__call__", ends_at_2)
        with pytest.raises(Killed):
            curate(config, str(tmp_path / "in"), str(tmp_path / "out"))
    before = times(tmp_path / "out")
    assert sorted(path.name for path in before if path.parent.name == "manifests") == ["0.json", "1.json"]
    curate(config, str(tmp_path / "in"), str(tmp_path / "out"))
    after = times(tmp_path / "out")
    assert {path: after.get(path) for path in before} == before
    assert len([path for path in after if path.parent.name == "manifests"]) == 4


def test_an_update_that_is_killed_and_taken_back_leaves_the_status_of_one_recipe(tmp_path, monkeypatch):
    """The process ends between a shard's status and its manifest, and the first recipe is run again."""
    first = CurateConfig(min_side=64)
    second = first.model_copy(update={"min_side": 70})  # keeps the same pairs; limits stand in the status
    shards(tmp_path / "in")
    output = str(tmp_path / "out")
    curate(first, str(tmp_path / "in"), output)
    expected = files(tmp_path / "out", ("status/*", "decisions/*"))
    write_manifest = write.write_manifest

    def ends(output, name, manifest):
        if manifest["decisions"] is not None:
            raise Killed
        write_manifest(output, name, manifest)

    with monkeypatch.context() as patch:
        patch.setattr(write, "write_manifest", ends)
        with pytest.raises(Killed):
            curate(second, str(tmp_path / "in"), output, update=True)
    assert files(tmp_path / "out", ("status/*", "decisions/*")) != expected
    assert curate(first, str(tmp_path / "in"), output).tars_written == 0
    assert files(tmp_path / "out", ("status/*", "decisions/*")) == expected
    manifests = [json.loads(path.read_text()) for path in (tmp_path / "out" / "manifests").iterdir()]
    assert [manifest["decisions"] for manifest in manifests] == [[]] * 4
