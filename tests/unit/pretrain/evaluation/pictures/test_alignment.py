import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.evaluation.data.phrase_objects import CaptionedImage, Phrase
from pretrain.evaluation.localisation import PROPOSERS
from pretrain.evaluation.localisation.alignment import AlignmentSettings, align
from pretrain.evaluation.localisation.proposal_options import proposal_options
from pretrain.evaluation.pictures.alignment import show_alignment
from pretrain.evaluation.token_encoder import TokenEncoder


def test_an_entry_names_a_picture_for_every_phrase_and_word(export, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    caption = "a red cup and a dog"
    phrases = (Phrase("red cup", (2, 9)), Phrase("dog", (16, 19)))
    sample = CaptionedImage("k", Image.fromarray(noise), caption, phrases, "phrases", np.zeros((0, 4)))
    encoder = TokenEncoder(export)
    aligned = align(encoder, PROPOSERS["saliency"], sample, proposal_options({"evaluations": 8}))
    entry, picture = show_alignment(
        encoder, 7, sample, aligned, AlignmentSettings(scale=5.0), words=12, budget=12, chunk=64,
        folder=str(tmp_path),
    )  # fmt: skip
    assert (entry["image"], entry["key"], entry["phrases"]) == (7, "k", ["red cup", "dog"])
    assert len(entry["regions"]) == len(aligned.boxes) == len(entry["matrix"])
    logits = 5 * aligned.alignment.double()
    expected = torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)
    assert np.array(entry["matrix"]) == pytest.approx(expected.numpy(), abs=1e-4)
    shown = [(part["kind"], part["text"]) for part in entry["maps"]]
    assert shown == [
        ("attribution", "red cup"),
        ("attribution", "dog"),
        ("best-word", "1 red · 2 cup · 3 dog"),
        ("word-patch", "red"),
        ("word-patch", "cup"),
        ("word-patch", "dog"),
    ]
    assert [part["picture"] for part in entry["maps"]] == [
        f"examples/7-{number}.jpg" for number in range(1, 7)
    ]
    for part in entry["maps"]:
        with Image.open(tmp_path / part["picture"]) as image:
            assert max(image.size) in (224, 320)
    assert max(picture.size) == 320
