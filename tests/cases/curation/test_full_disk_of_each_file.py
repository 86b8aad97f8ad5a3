"""A disk that is full at the scores, a decision or the status: cause and path are said, and the run goes on later."""

import errno

import pytest
from raw_shards import pairs, write_tar
from without_ray import without_ray

from pipelines.common import files
from pipelines.common.causes import explain
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate

CONFIG = CurateConfig(min_side=64, rules={"same": {"kind": "duplicates", "of": "caption", "keep": "first"}})
PLACES = {
    "scores of a group": "/scores/filters/1.parquet",
    "facts": "/scores/facts/1.parquet",
    "what a rule drops": "/decide/before-look/",
    "decision": "/decision.json",
    "decisions": "/decisions/1.parquet",
    "status": "/status/1.parquet",
    "manifest": "/manifests/1.json",
    "dataset.json": "/dataset.json",
}


def bytes_of(output) -> dict[str, bytes]:
    # The catalogue says when a shard was last changed, the page where it was written.
    others = ("report.html", "catalogue.parquet")
    paths = [path for path in output.rglob("*") if path.is_file() and path.name not in others]
    return {str(path.relative_to(output)): path.read_bytes() for path in paths if path.name[0] != "."}


@pytest.mark.parametrize("place", PLACES)
def test_said_with_its_path_and_resumable(tmp_path, monkeypatch, no_ray, place):
    without_ray(monkeypatch)
    for name in "012":
        write_tar(tmp_path / "in" / f"{name}.tar", pairs(2, prefix=f"s{name}_"))
    curate(CONFIG, str(tmp_path / "in"), str(tmp_path / "whole"))
    output = tmp_path / "out"
    replaced, struck = files.os.replace, []

    def full(source, target, *args, **kwargs):
        """The file system has no room for the file that gets this name."""
        if PLACES[place] in str(target):
            struck.append(str(target))
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        return replaced(source, target, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", full)
        with pytest.raises(OSError, match="No space left") as told:
            curate(CONFIG, str(tmp_path / "in"), str(output))
    line = explain(told.value)
    assert line.startswith(f"No space left on device: {output}/")
    assert PLACES[place] in line
    assert "\n" not in line
    assert not list(output.rglob("*.partial"))
    assert not (output / "manifests" / "2.json").exists() or place == "dataset.json"
    curate(CONFIG, str(tmp_path / "in"), str(output))
    assert bytes_of(output) == bytes_of(tmp_path / "whole")
