"""Scores by embeddings and phrases, one pair at a time."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn import functional as F

from pipelines.shards.reader import iterate
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data.phrase_gallery import embed_phrase_gallery, phrases_of
from pretrain.evaluation.data.samples import Picture, SampleStream
from pretrain.evaluation.runner import run_evaluation
from pretrain.evaluation.token_encoder import TokenEncoder


@pytest.fixture
def data(shards, tmp_path) -> str:
    """The shards, with phrases for the captions of some: the first word and the last two."""
    samples = []
    for number, (key, members) in enumerate(iterate(f"{shards}/00000.tar")):
        caption = members["txt"].decode()
        words = caption.split()
        metadata: dict[str, object] = json.loads(members.get("json", b"{}"))
        if number % 2 == 0 and len(words) > 2:
            spans = [(0, len(words[0])), (len(caption) - len(" ".join(words[-2:])), len(caption))]
            phrases = [{"text": caption[start:end], "start": start, "end": end} for start, end in spans]
            metadata["loupe"] = {"phrases": phrases}
        samples.append((key, members | {"json": json.dumps(metadata).encode()}))
    write_shard(tmp_path / "phrases" / "00000.tar", samples)
    return str(tmp_path / "phrases")


def test_a_score_is_the_cosine_and_the_best_patch_of_every_phrase(export, data) -> None:
    encoder = TokenEncoder(export, "cpu")
    pictures = list(SampleStream(data))
    gallery = embed_phrase_gallery(encoder, data, batch_size=3)
    captions = [text for picture in pictures for text in picture.captions]
    phrases = [phrases_of(picture, number) for picture in pictures for number in range(len(picture.captions))]
    assert any(" " in phrase for own in phrases for phrase in own)
    scores = torch.zeros(len(pictures), len(captions))
    for i, picture in enumerate(pictures):
        patches = encoder.patches(encoder.pixels([picture.image]))[0]
        image = F.normalize(patches.amax(0), dim=-1)
        for t, (caption, own) in enumerate(zip(captions, phrases, strict=True)):
            best = (encoder.texts(own or [caption], pooling="max_pooled") @ patches.T).amax(1).mean()
            scores[i, t] = best + encoder.texts([caption], pooling="max_pooled")[0] @ image
    for place in range(len(pictures)):
        torch.testing.assert_close(gallery.scores_of_image(place), scores[place], atol=1e-5, rtol=0)
    for row in range(len(captions)):
        torch.testing.assert_close(gallery.scores_of_text(row), scores[:, row], atol=1e-5, rtol=0)
    metrics = run_evaluation(
        "retrieval", export, data, None, options={"scoring": "phrases", "device": "cpu", "batch_size": 4}
    )
    right = scores.argmax(0) == gallery.text_owner
    assert metrics["text_to_image"]["R@1"] == pytest.approx(float(right.float().mean()))


def test_phrases_of_the_data_belong_to_the_first_caption() -> None:
    caption = "the red dog runs"
    phrases = {"loupe": {"phrases": [{"text": "red dog", "start": 4, "end": 11}]}}
    picture = Picture("0", None, (caption, "a cup on a table"), phrases)  # type: ignore[arg-type]  # no image is read
    sized = Picture("0", _Sized(), picture.captions, phrases)  # type: ignore[arg-type]
    assert phrases_of(sized, 0) == ["red dog"]
    assert phrases_of(sized, 1) == ["cup", "table"]
    moved = {"loupe": {"phrases": [{"text": "red dog", "start": 5, "end": 12}]}}
    assert phrases_of(Picture("0", _Sized(), picture.captions, moved), 0) == ["red", "dog", "runs"]  # type: ignore[arg-type]


class _Sized:
    size = (8, 8)
