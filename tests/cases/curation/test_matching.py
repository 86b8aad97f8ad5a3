"""The matching filter from raw shards to curated ones: bands, updates, what is set aside, what the report says."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from raw_shards import pairs, picture, write_tar
from tiny_matching import counted_calls, tiny_matching, tiny_model
from tiny_models import WORDS, tiny_dual_encoder
from without_ray import without_ray

from data_filters.errors import InputError
from pipelines.curate.config import CurateConfig
from pipelines.curate.look import matcher
from pipelines.curate.replay import replay
from pipelines.curate.run import curate

PAIRS = 12


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, no_ray):
    without_ray(monkeypatch)


@pytest.fixture
def asked(monkeypatch):
    """How many images and grounded captions a matcher has been shown."""
    return counted_calls(monkeypatch)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"blip": tiny_matching(folder / "blip"), "clip": tiny_dual_encoder(folder / "clip")}


def members(name: str) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for number in range(PAIRS):
        seed = PAIRS * int(name) + number
        words = " ".join(np.random.default_rng(seed).choice(WORDS, 8 + number))
        found |= {f"s{name}_{number}.jpg": picture(320, 260, seed=seed), f"s{name}_{number}.txt": words}
    return found


@pytest.fixture
def shards(tmp_path):
    for name in "01":
        write_tar(tmp_path / "in" / f"{name}.tar", members(name))
    return tmp_path


def curated(shards, output: str, rules, said=None, batch_size: int = 5, **options):
    config = CurateConfig(rules=rules, workers=1, look={"batch_size": batch_size}, max_bad_fraction=0.5)
    say = (said if said is not None else []).append
    return curate(config, str(shards / "in"), str(shards / output), say=say, **options)


def rules_of(models, *, clip: bool = False, **options) -> dict[str, dict]:
    cheap = {"clip": {"kind": "dual_encoder", "model": models["clip"], "min_score": None}} if clip else {}
    return {"match": {"kind": "matching", "model": models["blip"], **options}, **cheap}


def column(output, group: str, name: str) -> np.ndarray:
    paths = sorted((output / "scores" / group).glob("*.parquet"))
    return np.concatenate([pq.read_table(path)[name].to_numpy() for path in paths])


def kept_files(output) -> dict[str, bytes]:
    kinds = ("*.tar", "*.index.parquet", "status/*", "decisions/*")
    return {str(path.relative_to(output)): path.read_bytes() for kind in kinds for path in output.glob(kind)}


def test_a_threshold_calls_no_model_and_the_report_shows_both_sides(shards, models, asked):
    curated(shards, "out", rules_of(models, min_itm=None))
    itm = column(shards / "out", "matching", "itm")
    assert asked == {"images": 24, "itm": 24}
    limit = float(np.sort(itm)[10])
    asked.update(images=0, itm=0)
    summary = curated(shards, "out", rules_of(models, min_itm=limit), update=True)
    assert summary.kept == 14
    assert asked == {"images": 0, "itm": 0}
    cut = 2 * sum(2 + 8 + number > 20 for number in range(PAIRS))
    assert cut == 2
    assert f"match: {cut} captions were longer than the model reads, and were cut." in summary.notes
    report = json.loads((shards / "out" / "report.json").read_text())
    assert {"itc", "itm"} <= set(report["histograms"])
    manifest = json.loads(next((shards / "out" / "manifests").glob("0*.json")).read_text())
    settings = manifest["config"]["scores"]["matching"]
    assert {"model_sha256", "precision", "image_size", "first_token"} <= set(settings)


@pytest.mark.parametrize("score", ["clip_similarity", "itc"])
def test_a_band_saves_calls_and_another_band_gives_what_a_fresh_run_gives(shards, models, asked, score):
    plain = rules_of(models, clip=True)
    curated(shards, "plain", plain)
    assert asked == {"images": 24, "itm": 24}
    itm = column(shards / "plain", "matching", "itm")
    group = "dual-encoder-clip" if score == "clip_similarity" else "matching"
    cheap = column(shards / "plain", group, score)
    ordered = np.sort(cheap)

    def banded(low: int, high: int) -> dict[str, dict]:
        band = {"score": score, "below": float(ordered[low]), "above": float(ordered[high]), "sample": 0.0}
        return rules_of(models, clip=True, after=band)

    def expected(low: int, high: int) -> int:
        inside = (cheap >= ordered[low]) & (cheap <= ordered[high])
        return int((inside & (itm >= 0.5)).sum() + (cheap > ordered[high]).sum())

    asked.update(images=0, itm=0)
    said: list[str] = []
    summary = curated(shards, "out", banded(6, 17), said)
    assert asked == {"images": 12 if score == "clip_similarity" else 24, "itm": 12}
    assert summary.kept == expected(6, 17)
    most = "at most " if score == "clip_similarity" else ""
    assert f"matching: looks at {most}24 pairs" in said
    what = "the model" if score == "clip_similarity" else "ITM"
    assert any(
        f"12 of 24 pairs (50.0 %) were settled by {score} without {what}" in note for note in summary.notes
    )
    is_null = np.isnan(column(shards / "out", "matching", "itm"))
    assert is_null.sum() == 12
    for low, high, new in ((8, 15, 0), (3, 15, 3), (0, 23, 9)):
        asked.update(images=0, itm=0)
        updated = curated(shards, "out", banded(low, high), update=True)
        assert asked["itm"] == new
        assert updated.kept == expected(low, high)
        fresh = f"fresh-{score}-{low}-{high}"
        curated(shards, fresh, banded(low, high), batch_size=100)
        assert kept_files(shards / "out") == kept_files(shards / fresh)


def test_a_replay_judges_settled_pairs(shards, models):
    curated(shards, "plain", rules_of(models, clip=True))
    ordered = np.sort(column(shards / "plain", "dual-encoder-clip", "clip_similarity"))
    band = {
        "score": "clip_similarity",
        "below": float(ordered[6]),
        "above": float(ordered[17]),
        "sample": 0.0,
    }
    rules = rules_of(models, clip=True, after=band)
    curated(shards, "out", rules)
    for low, high, lacking in ((6, 17, 0), (8, 17, 0), (2, 17, 4)):
        band |= {"below": float(ordered[low]), "above": float(ordered[high])}
        config = CurateConfig(rules=rules, workers=1, max_bad_fraction=0.5)
        found = replay(config, config, str(shards / "out"))
        assert sum(found.not_scored) == lacking
        fresh = curated(shards, f"fresh{low}", rules)
        assert found.least.kept <= fresh.kept <= found.most.kept
        assert lacking == 4 or found.least == fresh.funnel


def test_scores_that_are_not_numbers_are_set_aside(shards, models):
    model = tiny_model()
    weights = model.text_encoder.embeddings.word_embeddings.weight.detach()
    weights[4 + WORDS.index("number")] = torch.nan
    others = {"whole00000.txt": "a red cat", "whole00001.txt": "a red dog"}
    write_tar(shards / "in" / "1.tar", pairs(2, "whole") | others)
    (shards / "in" / "0.tar").unlink()
    tiny_matching(shards / "nan", model)
    write_tar(shards / "in" / "2.tar", pairs(2))  # `number` stands in their captions
    summary = curated(shards, "out", rules_of({"blip": str(shards / "nan")}, min_itm=0.0))
    assert (summary.quarantined, summary.kept) == ({"nan_score": 2}, 2)
    status = pq.read_table(shards / "out" / "status" / "2.parquet").to_pylist()
    assert [row["rule"] for row in status] == ["nan_score"] * 2
    assert status[0]["value"].startswith("nan_score: it")


def test_the_report_shows_the_pairs_nearest_to_the_limit(shards, models):
    curated(shards, "plain", rules_of(models, min_itm=None))
    itm = np.sort(column(shards / "plain", "matching", "itm"))
    limit = float(itm[10])
    curated(shards, "out", rules_of(models, min_itm=limit))
    report = json.loads((shards / "out" / "report.json").read_text())
    values = [one["value"] for one in report["nearest"]["match"]]
    below = [f"{limit - itm[row]:g} below" for row in range(9, 3, -1)]
    above = [f"{itm[row] - limit:g} above" for row in range(10, 16)]
    assert [value.split()[1] for value in values] == ["below"] * 6 + ["above"] * 6
    found, expected = ([float(value.split()[0]) for value in side] for side in (values, below + above))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    page = (shards / "out" / "report.html").read_text()
    assert "match: nearest to the limit" in page
    assert not any("picture" in one for one in report["nearest"]["match"])


def test_a_model_that_gives_all_pairs_one_score_stops_the_run(shards, monkeypatch):
    monkeypatch.setattr(matcher, "FIRST_SCORES", 20)
    model = tiny_model()
    torch.nn.init.zeros_(model.itm_head.weight)
    tiny_matching(shards / "flat", model)
    with pytest.raises(InputError, match=r"flat, whose first \d+ ITM scores are all 0\.") as caught:
        curated(shards, "out", rules_of({"blip": str(shards / "flat")}))
    assert "\n" not in str(caught.value)
    assert not list((shards / "out").glob("*.tar"))
