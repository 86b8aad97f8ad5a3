import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from data_filters.errors import InputError
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.runner import run_evaluation
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.evaluation.word_tokens import word_tokens


def evaluate(export, data, output=None, *, progress=None, **options):
    """The metrics of the task with these options."""
    return run_evaluation("retrieval", export, data, output, options=options, progress=progress)


def referee(export, data, size):
    """The same recalls from the stock model alone: one image and one caption at a time, then a plain sort."""
    model = AutoModel.from_pretrained(export).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(export), AutoTokenizer.from_pretrained(export)
    pictures = list(SampleStream(data))[:size]
    captions = [(place, text) for place, picture in enumerate(pictures) for text in picture.captions]
    images, texts = [], []
    with torch.no_grad():
        for picture in pictures:
            images.append(model.get_image_features(**processor(picture.image, return_tensors="pt"))[1][0])
        for _, text in captions:
            tokens = tokenizer([text], truncation=True, max_length=12, return_tensors="pt")
            texts.append(model.get_text_features(**tokens)[1][0])
    scores = np.array([[float(torch.cosine_similarity(i, t, dim=0)) for t in texts] for i in images])
    owner = np.array([place for place, _ in captions])
    found = {}
    for way, table, right in [
        ("image_to_text", scores, owner[None, :] == np.arange(len(pictures))[:, None]),
        ("text_to_image", scores.T, owner[:, None] == np.arange(len(pictures))[None, :]),
    ]:
        firsts = []
        for row, good in zip(table, right, strict=True):
            order = np.argsort(-row, kind="stable")
            firsts.append(int(np.argmax(good[order])))
        found[way] = {f"R@{level}": float(np.mean(np.array(firsts) < level)) for level in (1, 5, 10)}
    return found, len(pictures), len(captions)


@pytest.mark.parametrize("size", [None, 9])
def test_recalls_are_those_of_the_stock_model_one_pair_at_a_time(export, shards, size):
    expected, images, texts = referee(export, shards, size)
    for batch_size in (4, 64):
        metrics = evaluate(export, shards, gallery=size, batch_size=batch_size)
        assert {way: metrics[way] for way in expected} == expected
        assert (metrics["images"], metrics["texts"]) == (images, texts)
    assert metrics["task"] == "retrieval"
    assert (metrics["export"], metrics["data"]) == (export, shards)
    assert metrics["skipped"] == ({"no_caption": 2} if size is None else {"no_caption": 1})


def test_output_holds_metrics_and_examples_with_pictures(export, shards, tmp_path):
    output = tmp_path / "scores"
    seen = []
    metrics = evaluate(
        export, shards, str(output), batch_size=5, examples=4, progress=lambda *a: seen.append(a)
    )
    assert json.loads((output / "metrics.json").read_text()) == metrics
    assert seen == [(5, None), (10, None), (13, None)]
    examples = json.loads((output / "examples.json").read_text())
    assert [len(examples[way]) for way in ("text_to_image", "image_to_text")] == [4, 4]
    pictures = list(SampleStream(shards))
    for entry in examples["text_to_image"]:
        assert entry["caption"] in pictures[entry["image"]].captions
        scores = [hit["score"] for hit in entry["found"]]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 5
        for hit in entry["found"]:
            with Image.open(output / "examples" / f"{hit['image']}.jpg") as image:
                assert image.size == pictures[hit["image"]].image.size
    for entry in examples["image_to_text"]:
        assert tuple(entry["captions"]) == pictures[entry["image"]].captions
        for hit in entry["found"]:
            assert hit["right"] == (hit["caption"] in entry["captions"])


def test_results_of_something_else_are_not_overwritten(export, shards, tmp_path):
    output = tmp_path / "scores"
    first = evaluate(export, shards, str(output), examples=1)
    again = evaluate(export, shards, str(output), examples=1)
    assert again["image_to_text"] == first["image_to_text"]
    with pytest.raises(InputError, match="gallery None, this is gallery 5"):
        evaluate(export, shards, str(output), gallery=5)
    assert json.loads((output / "metrics.json").read_text())["images"] == 13
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.tex").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        evaluate(export, shards, str(thesis))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gallery": 14}, "has 13 readable pairs"),
        ({"gallery": 0}, "gallery is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"device": "abacus"}, "device is 'abacus'"),
    ],
)
def test_bad_options_are_one_clear_line(export, shards, options, said):
    with pytest.raises(InputError, match=said) as raised:
        evaluate(export, shards, **options)
    assert "\n" not in str(raised.value)


def test_a_bad_export_is_one_clear_line(export, shards, tmp_path):
    with pytest.raises(InputError, match=r"no config\.json"):
        evaluate(str(tmp_path), shards)
    (tmp_path / "config.json").write_text((Path(export) / "config.json").read_text())
    with pytest.raises(InputError, match="cannot be opened"):
        evaluate(str(tmp_path), shards)


def test_max_pooled_recalls_are_those_of_the_maxima_of_the_tokens(export, shards):
    encoder = TokenEncoder(export, "cpu")
    pictures = list(SampleStream(shards))
    captions = [text for picture in pictures for text in picture.captions]
    owner = torch.tensor([place for place, picture in enumerate(pictures) for _ in picture.captions])
    patches = torch.cat([encoder.patches(encoder.pixels([picture.image])) for picture in pictures]).amax(1)
    words = torch.stack([word_tokens(encoder, [text]).tokens[0, 1:-1].amax(0) for text in captions])
    scores = F.normalize(patches, dim=-1) @ F.normalize(words, dim=-1).T
    metrics = run_evaluation(
        "retrieval", export, shards, None, options={"scoring": "max_pooled", "device": "cpu"}
    )
    best = scores.argmax(0)
    assert metrics["text_to_image"]["R@1"] == pytest.approx(float((best == owner).float().mean()))
    assert "token_share" not in metrics
