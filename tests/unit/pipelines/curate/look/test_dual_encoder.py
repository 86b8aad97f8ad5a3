"""Cosines and embeddings against a plain loop over transformers, for CLIP, SigLIP and an export of our own."""

import pickle

import numpy as np
import pytest
import torch
from pictures import look_pictures, opened
from random_export import random_export
from tiny_models import tiny_classifier, tiny_dual_encoder
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from data_filters.errors import InputError
from pipelines.curate.look.dual_encoder import dual_encoder_scores

CAPTIONS = (
    "a red cat",
    "the dog runs across the green field " * 9,
    "a",
    "the cat sleeps below a red chair " * 2,
)


def plain(folder: str, pictures, padding, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings of norm 1 of images and captions, one by one."""
    model, processor = AutoModel.from_pretrained(folder).eval(), AutoImageProcessor.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    images, texts = [], []
    for picture, image in zip(pictures, opened(pictures), strict=True):
        tokens = tokenizer(
            picture.facts.caption, truncation=True, max_length=limit, padding=padding, return_tensors="pt"
        )
        assert tokens["input_ids"].shape[1] <= limit
        with torch.no_grad():
            images.append(model.get_image_features(**processor(image, return_tensors="pt")).pooler_output)
            texts.append(model.get_text_features(**tokens).pooler_output)
    one, other = torch.cat(images).double(), torch.cat(texts).double()
    return (one / one.norm(dim=1, keepdim=True)).numpy(), (other / other.norm(dim=1, keepdim=True)).numpy()


@pytest.mark.parametrize("kind", ["clip", "siglip", "export"])
def test_cosines_are_those_of_a_plain_loop(tmp_path, kind):
    folder = (
        random_export(tmp_path / "run") if kind == "export" else tiny_dual_encoder(tmp_path / "model", kind)
    )
    group = pickle.loads(pickle.dumps(dual_encoder_scores(folder, "mine", embeddings=True)))
    pictures = look_pictures(10, CAPTIONS)
    images, texts = plain(
        folder, pictures, "max_length" if kind == "siglip" else False, 12 if kind == "export" else 20
    )
    found = group.measure(pictures)
    assert found.schema == group.schema()
    assert found.schema.names == ["mine_similarity", "embedding"]
    expected = (images * texts).sum(1)
    assert np.ptp(expected) > 0.02
    np.testing.assert_allclose(found.column(0).to_numpy(), expected, atol=2e-6)
    kept = found.column(1).flatten().to_numpy().reshape(10, -1)
    assert kept.dtype == np.float16
    np.testing.assert_allclose(kept, images, atol=1e-3)


def test_a_score_does_not_depend_on_the_batch(tmp_path):
    group = dual_encoder_scores(tiny_dual_encoder(tmp_path / "model"), "clip", embeddings=True)
    pictures = look_pictures(21, CAPTIONS)
    whole = group.measure(pictures)
    for first, last in ((0, 1), (5, 6), (3, 12), (1, 21)):
        part = group.measure(pictures[first:last])
        assert part.to_pydict() == whole.slice(first, last - first).to_pydict()


def test_without_embeddings_there_is_a_column_for_the_cosine_alone(tmp_path):
    folder = tiny_dual_encoder(tmp_path / "model")
    bare, full = (dual_encoder_scores(folder, "clip", keeps) for keeps in (False, True))
    pictures = look_pictures(2)
    assert (
        bare.measure(pictures).to_pydict() == full.measure(pictures).select(["clip_similarity"]).to_pydict()
    )
    assert bare.settings() != full.settings()


def test_what_is_no_dual_encoder_is_refused(tmp_path):
    folder = tiny_classifier(tmp_path / "model")
    with pytest.raises(InputError, match="a vit without embeddings of image and text; give a dual encoder"):
        dual_encoder_scores(folder, "clip", embeddings=False)
