"""Number of workers, order of the listing and Python's hash seed change no byte of what a curation writes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from raw_shards import CAPTION, picture, write_tar

pytestmark = [pytest.mark.long, pytest.mark.ray]

# The listing of a folder is turned round below everything that this project does with it.
PROGRAM = """
import sys
from fsspec.implementations.local import LocalFileSystem
if sys.argv[4] == "backwards":
    ls = LocalFileSystem.ls
    LocalFileSystem.ls = lambda self, *args, **kwargs: list(reversed(ls(self, *args, **kwargs)))
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate
import json
curate(CurateConfig.model_validate(json.loads(sys.argv[1])), sys.argv[2], sys.argv[3])
"""
RULES = {
    "same_image": {"kind": "duplicates", "of": "image", "keep": "first"},
    "most_captions": {"kind": "duplicates", "of": "caption", "max_images": 3},
    "near": {"kind": "near_captions", "min_similarity": 0.8},
    "balance": {"kind": "balance", "entries": 2, "t": 20},
    "rare": {"kind": "rare_ngrams", "most_frequent": 60},
}


def raw_shards(raw: Path) -> None:
    for shard in range(6):
        members: dict[str, bytes | str] = {}
        for number in range(20):
            seed = number if number < 4 else 100 * shard + number
            members[f"s{shard}_{number:02}.jpg"] = picture(120, 100, seed=seed)
            other = " ".join(f"w{(shard * number + step) % 40}" for step in range(number % 7))
            members[f"s{shard}_{number:02}.txt"] = f"{CAPTION} {other} {number % 5}"
        write_tar(raw / f"part-{shard}.tar", members)


def curated(raw: Path, output: Path, workers: int, listing: str, seed: int, engine: str) -> dict[str, bytes]:
    recipe = {"min_side": 64, "workers": workers, "rules": RULES, "decide": {"engine": engine}}
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    words = [sys.executable, "-c", PROGRAM, json.dumps(recipe), str(raw), str(output), listing]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file() and path.name != "report.html" and not path.name.startswith(".")
    }


def test_the_same_bytes_whatever_the_order_and_the_workers(
    tmp_path: Path, repetitions: Callable[[int], int]
) -> None:
    raw_shards(tmp_path / "raw")
    one = curated(tmp_path / "raw", tmp_path / "one", 1, "as it is", 1, "in_process")
    funnel = json.loads(one["report.json"])["funnel"]
    dropped = {row["name"]: row["rejected_in_order"] for row in funnel["filters"]}
    assert all(dropped[name] for name in RULES), dropped
    engine = "ray" if repetitions(10) > 1 else "in_process"
    four = curated(tmp_path / "raw", tmp_path / "four", 4, "backwards", 2, engine)
    assert one.keys() == four.keys()
    assert [name for name in one if one[name] != four[name]] == []
