"""The evaluation `matching` of a tiny stock BLIP and of a tiny dual encoder."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_matcher import tiny_blip

from data_filters.errors import InputError
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.data.wrong_captions import Described
from pretrain.evaluation.encoder import ExportedEncoder
from pretrain.evaluation.matcher import ExportedMatcher
from pretrain.evaluation.metrics.separation import average_precision, roc_auc
from pretrain.evaluation.runner import check_data, headline_numbers, run_evaluation
from pretrain.evaluation.tasks.matching import wrong_captions


@pytest.fixture(scope="module")
def blip(tmp_path_factory) -> str:
    return tiny_blip(tmp_path_factory.mktemp("blip"))


def png(seed: int) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def described(tmp_path) -> str:
    """Six pairs of one object; the metadata of the fourth are junk, the fifth has no caption."""
    samples = []
    for number, (color, name) in enumerate([("red", "cat"), ("green", "dog")] * 3):
        caption = f"a {color} {name}"
        scene = {
            "objects": [{"name": name, "color": color}],
            "mentions": [{"object": 0, "start": 0, "end": len(caption)}],
        }
        text = b" " if number == 4 else caption.encode()
        members = {"png": png(number), "txt": text, "json": json.dumps(scene).encode()}
        if number == 3:
            members["json"] = json.dumps({"objects": 7, "mentions": [None], "relations": {}}).encode()
        samples.append((f"{number:03d}", members))
    write_shard(tmp_path / "described" / "00000.tar", samples)
    return str(tmp_path / "described")


def evaluate(export, data, output=None, **options):
    return run_evaluation("matching", export, data, output, options={"device": "cpu"} | options)


def test_a_matchers_numbers_are_those_of_its_scores(blip, described, tmp_path):
    metrics = evaluate(blip, described, str(tmp_path / "out"), keep=0.6)
    assert metrics["images"] == 5
    assert metrics["skipped"] == {"no_caption": 1}
    assert metrics["wrong"] == {"shuffled": 5, "attribute": 4, "name": 4, "names": 4}
    pictures = list(SampleStream(described))
    true = [picture.captions[0] for picture in pictures]
    wrong = wrong_captions([Described(p.captions[0], p.metadata) for p in pictures], 0)
    matcher = ExportedMatcher(blip, "cpu")
    for score in ("itm", "itc"):
        own = np.array(
            [
                matcher.scores([p.image], {"x": [c]})["x"][score][0]
                for p, c in zip(pictures, true, strict=True)
            ]
        )
        assert metrics[score]["threshold"] == pytest.approx(sorted(own)[2], abs=1e-6)
        for kind, captions in wrong.items():
            rows = [row for row, caption in enumerate(captions) if caption is not None]
            other = np.array(
                [matcher.scores([pictures[row].image], {"x": [captions[row]]})["x"][score][0] for row in rows]
            )
            assert metrics[score][kind]["auc"] == pytest.approx(roc_auc(own[rows], other), abs=1e-6)
            assert metrics[score][kind]["average_precision"] == pytest.approx(
                average_precision(own[rows], other), abs=1e-6
            )
            if kind == "shuffled":
                threshold = metrics[score]["threshold"]
                assert metrics[score]["dropped"] == pytest.approx(np.mean(other < threshold - 1e-6))
                if score == "itm":
                    assert metrics[score]["kept_at_half"] == np.mean(own >= 0.5)
                    assert metrics[score]["dropped_at_half"] == np.mean(other < 0.5)
    assert headline_numbers(metrics)["itm"] == metrics["itm"]["shuffled"]["auc"]
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == metrics


def test_the_numbers_are_the_same_again_and_by_other_batches(blip, described):
    def numbers(**options):
        metrics = evaluate(blip, described, **options)
        return {key: metrics[key] for key in ("itm", "itc", "wrong", "images")}

    first = numbers()
    assert numbers() == first
    by_two = numbers(batch_size=2)
    assert by_two["wrong"] == first["wrong"]
    assert by_two["itm"]["shuffled"] == pytest.approx(first["itm"]["shuffled"], abs=1e-6)


def test_a_dual_encoder_is_judged_by_its_cosine(export, shards):
    metrics = evaluate(export, shards)
    assert "itm" not in metrics
    assert metrics["wrong"] == {"shuffled": 13}
    assert metrics["skipped"] == {"no_caption": 2}
    assert "dropped_at_half" not in metrics["cosine"]
    encoder = ExportedEncoder(export, "cpu")
    pictures = list(SampleStream(shards))
    wrong = wrong_captions([Described(p.captions[0], p.metadata) for p in pictures], 0)["shuffled"]

    def cosine(captions):
        pairs = zip(pictures, captions, strict=True)
        return np.array(
            [float((encoder.embed_images([p.image]) * encoder.embed_texts([c])).sum()) for p, c in pairs]
        )

    with torch.inference_mode():
        expected = roc_auc(cosine([p.captions[0] for p in pictures]), cosine(wrong))
    assert metrics["cosine"]["shuffled"]["auc"] == pytest.approx(expected, abs=1 / 169)
    assert any(evaluate(export, shards, seed=seed)["cosine"] != metrics["cosine"] for seed in (1, 2))


def test_a_gallery_is_drawn_from_and_what_it_lacks_counted(blip, described):
    assert evaluate(blip, described, gallery=3)["wrong"]["shuffled"] == 3
    assert evaluate(blip, described, gallery=9)["skipped"] == {"no_caption": 1, "short_of_gallery": 4}


def test_data_that_cannot_be_shuffled_are_refused(blip, tmp_path):
    write_shard(tmp_path / "one" / "0.tar", [("a", {"png": png(0), "txt": b"a cat"})])
    with pytest.raises(InputError, match="has fewer than two pairs"):
        check_data("matching", str(tmp_path / "one"))
    same = [(key, {"png": png(0), "txt": b"a cat"}) for key in "ab"]
    write_shard(tmp_path / "same" / "0.tar", same)
    check_data("matching", str(tmp_path / "same"))
    with pytest.raises(InputError, match="2 readable pairs, all of one caption"):
        evaluate(blip, str(tmp_path / "same"))


def test_a_captioner_is_refused(described, tmp_path):
    with pytest.raises(InputError, match="lacks itm_head.bias"):
        evaluate(tiny_blip(tmp_path / "captioner", "captioning"), described)
