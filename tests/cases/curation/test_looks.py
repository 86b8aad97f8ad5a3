"""Rules with a model, from raw shards to curated ones: the model is asked about each pair once."""

import pyarrow.parquet as pq
import pytest
from raw_shards import CAPTION, pairs, picture, write_tar
from tiny_models import tiny_classifier, tiny_dual_encoder
from without_ray import without_ray

from pipelines.curate.config import CurateConfig
from pipelines.curate.look.image_classifier import Classifier
from pipelines.curate.run import curate

PAIRS = 10
CLASSIFIER = {"kind": "safety", "label": "unsafe", "max_score": 1.0}


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, no_ray):
    without_ray(monkeypatch)


@pytest.fixture
def asked(monkeypatch):
    """The number of images that a classifier has been shown, as a list of batches."""
    sizes = []
    plain = Classifier.probabilities

    def counting(self, images):
        sizes.append(len(images))
        return plain(self, images)

    monkeypatch.setattr(Classifier, "probabilities", counting)
    return sizes


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture
def shards(tmp_path):
    """Two shards: sides from 200 to 290 px, and an image whose header is whole and whose pixels are not."""
    for name in "01":
        members = {}
        for number in range(PAIRS):
            members[f"s{name}_{number}.jpg"] = picture(320, 200 + 10 * number, seed=100 * int(name) + number)
            members[f"s{name}_{number}.txt"] = f"{CAPTION} {number}"
        write_tar(tmp_path / "in" / f"{name}.tar", members)
    whole = picture(320, 300, format="PNG")
    middle = len(whole) // 2
    broken = {"x.png": whole[:middle] + bytes(64) + whole[middle + 64 :], "x.txt": CAPTION}
    write_tar(tmp_path / "in" / "2.tar", pairs(1) | broken)
    return tmp_path


def curated(shards, output: str, rules, said: list[str] | None = None, **options):
    limits = {name: options.pop(name) for name in ("min_side", "batch_size") if name in options}
    batch = {"look": {"batch_size": limits.pop("batch_size", 3)}}
    config = CurateConfig(rules=rules, workers=1, **batch, **limits)
    say = (said if said is not None else []).append
    return curate(config, str(shards / "in"), str(shards / output), say=say, **options)


def files(output) -> dict[str, bytes]:
    """What an output says about its pairs."""
    kinds = ("*.tar", "*.index.parquet", "status/*", "decisions/*")
    return {str(path.relative_to(output)): path.read_bytes() for kind in kinds for path in output.glob(kind)}


def scores_of(output) -> list[float]:
    """Of all looked-at pairs, ascending."""
    found = []
    for path in sorted((output / "scores").glob("safety-*/*.parquet")):
        table = pq.read_table(path)
        found += table.column(0).drop_null().to_pylist()
    return sorted(found)


def status_of(output, name: str) -> list[dict]:
    return pq.read_table(output / "status" / f"{name}.parquet").to_pylist()


def test_the_funnel_counts_pairs_by_their_score_and_sets_aside_what_does_not_decode(shards, model, asked):
    said: list[str] = []
    rules = {"unsafe": {**CLASSIFIER, "model": model}}
    curated(shards, "all", rules, min_side=199)
    scores = scores_of(shards / "all")
    assert len(scores) == 2 * PAIRS + 1
    limit = scores[7]
    rules["unsafe"]["max_score"] = limit
    asked.clear()
    summary = curated(shards, "out", rules, said, min_side=239)
    kept = [score for score in scores_of(shards / "out") if score <= limit]
    assert (summary.kept, summary.quarantined) == (len(kept), {"broken_image": 1})
    assert 0 < len(kept) < 13
    assert summary.rejected["small_image"] == 8
    assert summary.rejected["unsafe"] == 13 - len(kept)
    assert len(said) == 1
    assert said[0].endswith(": looks at 14 pairs")
    assert sum(asked) == 13
    assert max(asked) == 3
    broken = status_of(shards / "out", "2")[-1]
    assert (broken["key"], broken["outcome"], broken["rule"]) == ("x", "quarantined", "broken_image")
    assert broken["value"].startswith("broken_image: png: ")
    rejected = next(row for row in status_of(shards / "out", "0") if row["rule"] == "unsafe")
    assert float(rejected["value"]) > limit
    assert rejected["limit"] == f"at most {limit:g}"


def test_an_update_asks_the_model_about_pairs_without_a_score_and_nothing_else(shards, model, asked):
    rules = {"unsafe": {**CLASSIFIER, "model": model}}
    curated(shards, "all", rules, min_side=199)
    limit = scores_of(shards / "all")[10]
    curated(shards, "out", rules, min_side=249)
    assert sum(asked) == 21 + 11

    def updated(new: int, shown: int, **options) -> None:
        asked.clear()
        said: list[str] = []
        curated(shards, "out", rules, said, update=True, **options)
        assert [text.split(": ")[1] for text in said] == [f"looks at {new} pairs"]
        assert sum(asked) == shown
        fresh = f"fresh{len(list(shards.iterdir()))}"
        curated(shards, fresh, rules, batch_size=100, **options)
        assert files(shards / "out") == files(shards / fresh)

    rules["unsafe"]["max_score"] = limit
    updated(0, 0, min_side=249)  # tightened
    updated(8, 8, min_side=209)  # an earlier rule loosened
    rules["unsafe"]["max_score"] = 0.999
    updated(0, 0, min_side=219)  # one tightened, one loosened


def test_another_rule_of_the_same_model_and_label_needs_no_second_look(shards, model, asked):
    rules = {
        name: {**CLASSIFIER, "model": model, "max_score": limit, "label": label}
        for name, limit, label in (("strict", 0.2, "unsafe"), ("loose", 0.9, 1))
    }
    said: list[str] = []
    curated(shards, "out", rules, said)
    assert len(said) == 1
    assert sum(asked) == 2 * PAIRS + 1 - 2  # sides of 200 px are too small by default


def test_the_best_pairs_by_a_dual_encoder_and_near_embeddings(shards):
    """DataComp's CLIP score: exactly the highest share of the pairs that decode."""
    clip = tiny_dual_encoder(shards / "clip")
    rules = {
        "clip": {"kind": "dual_encoder", "model": clip, "min_score": None, "embeddings": True},
        "best": {"kind": "top_fraction", "score": "clip_similarity", "fraction": 0.3},
    }
    summary = curated(shards, "out", rules, min_side=199)
    table = [pq.read_table(path) for path in sorted((shards / "out" / "scores").glob("dual-encoder-clip/*"))]
    scores = sorted((value for part in table for value in part[0].drop_null().to_pylist()), reverse=True)
    assert len(scores) == 21
    assert summary.kept == 7  # of 21
    kept = [
        value
        for name, part in zip("012", table, strict=True)
        for value, row in zip(part[0].to_pylist(), status_of(shards / "out", name), strict=True)
        if row["outcome"] == "kept"
    ]
    assert sorted(kept, reverse=True) == scores[:7]
    rules["same"] = {"kind": "near_embeddings", "min_similarity": 1.0, "cells": 1}
    rules["images"] = {"kind": "near_images"}
    said: list[str] = []
    both = curated(shards, "out", rules, said, min_side=199, update=True)
    assert said == ["dual-encoder-clip: looks at 0 pairs", "pdq: looks at 22 pairs"]
    assert both.kept <= 7


def test_looks_of_a_withdrawn_shard_are_removed(shards, model):
    rules = {"unsafe": {**CLASSIFIER, "model": model}}
    curated(shards, "out", rules)
    (shards / "in" / "1.tar").unlink()
    curated(shards, "out", rules, drop_withdrawn=True)
    assert not list((shards / "out").rglob("1.*"))
