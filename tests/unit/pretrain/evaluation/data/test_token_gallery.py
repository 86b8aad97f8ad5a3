import io
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from data_filters.errors import InputError
from pipelines.shards.writer import write_shard
from pretrain.evaluation.data.samples import SampleStream
from pretrain.evaluation.data.token_gallery import TokenGallery, embed_token_gallery
from pretrain.evaluation.metrics.recall import TIE
from pretrain.evaluation.runner import run_evaluation
from pretrain.evaluation.token_encoder import TokenEncoder


def evaluate(export, data, output=None, *, progress=None, **options):
    """The metrics of the task with these options."""
    return run_evaluation("retrieval", export, data, output, options=options, progress=progress)


WORDS = ["red", "umbrella", "dog", "car", "blue", "tree", "cup", "clock"]


def plain_best(items, others, share):
    """Of each item the tokens with the best match anywhere among the others, `share` of them."""
    pool = torch.stack([token for other in others for token in other])
    found = []
    for tokens in items:
        order = sorted(tokens, key=lambda token: -float((pool @ token).max()))
        found.append(order[: math.ceil(share * len(tokens))])
    return found


def plain_scores(export, pictures, captions, share=1.0):
    """Both of FILIP's matrices from the stock model, one image, one caption, one token at a time."""
    model = AutoModel.from_pretrained(export).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(export), AutoTokenizer.from_pretrained(export)
    patches, words = [], []
    with torch.no_grad():
        for picture in pictures:
            out = model.vision_model(**processor(picture.image, return_tensors="pt"))
            tokens = model.visual_projection(out.last_hidden_state)[0][1:]  # a ViT's class token is no patch
            patches.append([token / token.norm() for token in tokens])
        for text in captions:
            ids = tokenizer([text], truncation=True, max_length=12, return_tensors="pt")
            tokens = model.text_projection(model.text_model(**ids).last_hidden_state)[0][1:-1]
            words.append([token / token.norm() for token in tokens])
    patches, words = plain_best(patches, words, share), plain_best(words, patches, share)
    shape = (len(pictures), len(captions))
    s_image, s_text = np.zeros(shape), np.zeros(shape)
    for i, some_patches in enumerate(patches):
        for t, some_words in enumerate(words):
            alike = [[float(patch @ word) for word in some_words] for patch in some_patches]
            s_image[i, t] = sum(max(row) for row in alike) / len(alike)
            s_text[i, t] = sum(max(column) for column in zip(*alike, strict=True)) / len(some_words)
    return s_image, s_text


def plain_places(scores, right):
    """Of each row, how many wrong entries stand before the best right one; a tie is lost."""
    places = []
    for row, good in zip(scores, right, strict=True):
        best = max(score for score, is_right in zip(row, good, strict=True) if is_right)
        places.append(
            sum(score >= best - TIE for score, is_right in zip(row, good, strict=True) if not is_right)
        )
    return places


@pytest.fixture
def twins(tmp_path) -> str:
    """Ten images of one to three captions; 7, 8 and 9 are one and the same picture with the same captions."""
    generator = np.random.default_rng(1)
    samples = []
    for number in range(10):
        if number < 8:
            captions = [" ".join(generator.choice(WORDS, 3 + place)) for place in range(1 + number % 3)]
            file = io.BytesIO()
            Image.fromarray(generator.integers(0, 256, (24, 20, 3), dtype=np.uint8)).save(file, "PNG")
        members = {
            "png": file.getvalue(),
            "txt": captions[0].encode(),
            "json": json.dumps({"captions": captions}).encode(),
        }
        samples.append((f"{number:06d}", members))
    write_shard(tmp_path / "twins" / "00000.tar", samples)
    return str(tmp_path / "twins")


@pytest.mark.parametrize("chunk", [1, 4, 256])
def test_scores_and_places_are_those_of_a_double_loop(export, twins, chunk):
    pictures = list(SampleStream(twins))
    captions = [text for picture in pictures for text in picture.captions]
    owner = np.array([place for place, picture in enumerate(pictures) for _ in picture.captions])
    s_image, s_text = plain_scores(export, pictures, captions)
    found = embed_token_gallery(TokenEncoder(export), twins, batch_size=3)
    found = TokenGallery(**(vars(found) | {"chunk": chunk}))
    for place in range(len(pictures)):
        np.testing.assert_allclose(found.scores_of_image(place), s_image[place], atol=1e-5)
    for row in range(len(captions)):
        np.testing.assert_allclose(found.scores_of_text(row), s_text[:, row], atol=1e-5)
    right = owner[None, :] == np.arange(len(pictures))[:, None]
    of_images, of_texts = found.ranks()
    assert of_images.tolist() == plain_places(s_image, right)
    assert of_texts.tolist() == plain_places(s_text.T, right.T)
    # The three pictures that are one lose to each other: their captions are ties.
    assert min(of_images[7:]) >= 2
    assert not np.allclose(s_image, s_text, atol=1e-3)


@pytest.mark.parametrize("chunk", [2, 256])
def test_the_best_tokens_alone_are_chosen_as_in_training(export, twins, chunk):
    pictures = list(SampleStream(twins))
    captions = [text for picture in pictures for text in picture.captions]
    s_image, s_text = plain_scores(export, pictures, captions, share=0.3)
    found = embed_token_gallery(TokenEncoder(export), twins, batch_size=3)
    found = TokenGallery(**(vars(found) | {"chunk": chunk})).keep_best(0.3)
    for place in range(len(pictures)):
        np.testing.assert_allclose(found.scores_of_image(place), s_image[place], atol=1e-5)
    for row in range(len(captions)):
        np.testing.assert_allclose(found.scores_of_text(row), s_text[:, row], atol=1e-5)
    metrics = evaluate(export, twins, scoring="late_interaction", token_share=0.3)
    of_images, of_texts = found.ranks()
    assert metrics["image_to_text"]["R@1"] == pytest.approx(float((of_images == 0).float().mean()))
    assert metrics["text_to_image"]["R@1"] == pytest.approx(float((of_texts == 0).float().mean()))
    with pytest.raises(InputError, match=r"token_share is 0.3 with scoring 'global'"):
        evaluate(export, twins, token_share=0.3)
    with pytest.raises(InputError, match="token_share is 0; input should be greater than 0"):
        evaluate(export, twins, scoring="late_interaction", token_share=0)


def test_recalls_by_scoring(export, shards, tmp_path):
    pictures = list(SampleStream(shards))
    captions = [text for picture in pictures for text in picture.captions]
    owner = np.array([place for place, picture in enumerate(pictures) for _ in picture.captions])
    right = owner[None, :] == np.arange(len(pictures))[:, None]
    s_image, s_text = plain_scores(export, pictures, captions)
    output = tmp_path / "scores"
    metrics = evaluate(export, shards, str(output), scoring="late_interaction", batch_size=5, examples=3)
    for way, places in (
        ("image_to_text", plain_places(s_image, right)),
        ("text_to_image", plain_places(s_text.T, right.T)),
    ):
        expected = {f"R@{level}": float(np.mean(np.array(places) < level)) for level in (1, 5, 10)}
        assert metrics[way] == expected
    assert (metrics["scoring"], metrics["images"], metrics["texts"]) == (
        "late_interaction",
        13,
        len(captions),
    )
    assert metrics["skipped"] == {"no_caption": 2}
    examples = json.loads((output / "examples.json").read_text())
    for entry in examples["image_to_text"]:
        best = sorted(s_image[entry["image"]], reverse=True)[:5]
        assert [hit["score"] for hit in entry["found"]] == pytest.approx(best, abs=1e-4)
    for entry in examples["text_to_image"]:
        best = sorted(s_text[:, captions.index(entry["caption"])], reverse=True)[:5]
        assert [hit["score"] for hit in entry["found"]] == pytest.approx(best, abs=1e-4)
    with pytest.raises(InputError, match="scoring 'late_interaction', this is scoring 'global'"):
        evaluate(export, shards, str(output))
    with pytest.raises(
        InputError, match="scoring is 'loud'; allowed are global, max_pooled, late_interaction, phrases"
    ):
        evaluate(export, shards, scoring="loud")
