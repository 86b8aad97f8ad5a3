"""Files of scores that a crash has damaged are computed anew, the result is the same, and it is said."""

import pytest
from raw_shards import pairs, write_tar
from without_ray import without_ray

from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate

FIRST = CurateConfig(min_side=64, examples=1, max_bad_fraction=0.5)
SECOND = FIRST.model_copy(update={"min_side": 70})


@pytest.fixture(autouse=True)
def _without_ray(monkeypatch, no_ray):
    without_ray(monkeypatch)


def files(output) -> dict[str, bytes]:
    kinds = (
        "*.tar",
        "*.index.parquet",
        "scores/*/*",
        "decisions/*",
        "status/*",
        "quarantine/*",
        "dataset.json",
    )
    return {str(path.relative_to(output)): path.read_bytes() for kind in kinds for path in output.glob(kind)}


@pytest.mark.parametrize("damage", ["cut", "zeros", "empty", "text"])
@pytest.mark.parametrize("file", ["scores/facts", "scores/filters", "quarantine"])
def test_computed_anew_and_said(tmp_path, file, damage):
    for name in "01":
        members = pairs(2, prefix=f"s{name}_") | {
            f"bad{name}.jpg": b"no picture",
            f"bad{name}.txt": "a dog runs",
        }
        write_tar(tmp_path / "in" / f"{name}.tar", members)
    assert curate(FIRST, str(tmp_path / "in"), str(tmp_path / "out")).notes == []
    curate(SECOND, str(tmp_path / "in"), str(tmp_path / "whole"))
    path = tmp_path / "out" / file / "1.parquet"
    data = path.read_bytes()
    damaged = {
        "cut": data[:-20],
        "zeros": bytes(len(data)),
        "empty": b"",
        "text": b"PAR1" + b"x" * 400 + b"PAR1",
    }
    path.write_bytes(damaged[damage])
    summary = curate(SECOND, str(tmp_path / "in"), str(tmp_path / "out"), update=True)
    name = "/".join([file.split("/")[-1], "1.parquet"])
    assert summary.notes == [f"1 file of scores could not be read ({name}): computed anew"]
    assert files(tmp_path / "out") == files(tmp_path / "whole")
    assert curate(SECOND, str(tmp_path / "in"), str(tmp_path / "out")).notes == []
