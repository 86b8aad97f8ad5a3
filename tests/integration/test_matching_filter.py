"""The matching filter through Ray: a BLIP that transformers alone has saved, by its path."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from raw_shards import picture, write_tar
from tiny_matching import tiny_matching
from tiny_models import WORDS, tiny_dual_encoder

from data_filters.errors import InputError
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate

pytestmark = pytest.mark.ray
PAIRS = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("matching")
    tiny_matching(folder / "blip")
    tiny_dual_encoder(folder / "clip")
    for name in range(2):
        members: dict[str, bytes | str] = {}
        for number in range(PAIRS):
            seed = 100 * name + number
            members[f"p{seed}.jpg"] = picture(260, 240, seed=seed)
            members[f"p{seed}.txt"] = " ".join(np.random.default_rng(seed).choice(WORDS, 4 + number))
        write_tar(folder / "in" / f"{name}.tar", members)
    return folder


def curated(folder: Path, output: str, after: dict | None = None):
    rules = {
        "clip": {"kind": "dual_encoder", "model": str(folder / "clip"), "min_score": None},
        "match": {"kind": "matching", "model": str(folder / "blip"), "after": after},
    }
    config = CurateConfig(rules=rules, workers=2, look={"batch_size": 4})
    return curate(config, str(folder / "in"), str(folder / output), say=lambda text: None)


def test_pairs_go_by_their_score_and_a_band_saves_the_model(folder, ray_cluster):
    summary = curated(folder, "plain")
    tables = [pq.read_table(path) for path in sorted((folder / "plain/scores/matching").glob("*"))]
    itm = np.concatenate([table["itm"].to_numpy() for table in tables])
    assert summary.kept == (itm >= 0.5).sum()
    assert 0 < summary.kept < 2 * PAIRS
    clip = [pq.read_table(path)[0].to_numpy() for path in sorted((folder / "plain/scores").glob("dual*/*"))]
    cheap = np.concatenate(clip)
    low, high = np.sort(cheap)[[5, 14]].tolist()
    band = {"score": "clip_similarity", "below": low, "above": high, "sample": 0.0}
    banded = curated(folder, "banded", band)
    inside = (cheap >= low) & (cheap <= high)
    assert banded.kept == ((inside & (itm >= 0.5)) | (cheap > high)).sum()
    looked = [pq.read_table(path) for path in sorted((folder / "banded/scores/matching").glob("*"))]
    assert (
        np.concatenate([table["matching_looked"].to_numpy() for table in looked]).tolist() == inside.tolist()
    )
    assert "10 of 20 pairs (50.0 %) were settled" in " ".join(
        json.loads((folder / "banded/report.json").read_text())["rule_notes"]
    )


def test_a_folder_that_is_no_matcher_is_refused_before_a_shard_is_read(folder):
    config = CurateConfig(rules={"match": {"kind": "matching", "model": str(folder / "clip")}})
    with pytest.raises(InputError, match=r"rules.match: model is .*, a CLIPModel"):
        curate(config, str(folder / "in"), str(folder / "refused"))
    assert not (folder / "refused").exists()
