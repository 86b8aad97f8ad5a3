import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from pretrain.data.samples.batch import Batch
from pretrain.data.samples.phrase_tokens import align_phrases
from pretrain.evaluation.data.phrase_objects import CaptionedImage, Phrase
from pretrain.evaluation.localisation import PROPOSERS
from pretrain.evaluation.localisation.alignment import (
    AlignmentSettings,
    RegionAlignment,
    align,
    semantic_pairs,
    settings_of,
    token_interactions,
    word_maps,
)
from pretrain.evaluation.localisation.proposal_options import proposal_options
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.models.region_generator import RegionGenerator
from pretrain.objectives.inputs import Features
from pretrain.shapley.exact import enumerate_interaction
from pretrain.shapley.games import SemanticGame
from pretrain.step_context import StepContext
from pretrain.supervision.config import SupervisionConfig
from pretrain.supervision.shapley_targets import ShapleySupervision
from pretrain.supervision.supplier import SupplierInputs

CAPTION = "a red umbrella on the blue boat by a tree"


def described(caption=CAPTION, texts=("red umbrella", "the blue boat", "tree")):
    noise = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    spans = [(caption.index(text), caption.index(text) + len(text)) for text in texts]
    phrases = tuple(Phrase(text, span) for text, span in zip(texts, spans, strict=True))
    return CaptionedImage("k", Image.fromarray(noise), caption, phrases, "phrases", np.zeros((0, 4)))


def test_alignment_is_that_of_the_loss_at_training(region_export):
    encoder, sample = TokenEncoder(region_export), described()
    options = proposal_options({"regions": 3, "evaluations": 16})
    found = align(encoder, PROPOSERS["regions"], sample, options)

    generator = RegionGenerator(16, (2, 2), 3, width=8, suppress_above=0.7)
    generator.load_state_dict(load_file(f"{region_export}/region_head.safetensors"))
    read = encoder.tokenizer([sample.caption], return_offsets_mapping=True, return_tensors="pt")
    spans = align_phrases(read["offset_mapping"], [[phrase.span for phrase in sample.phrases]], 4)
    batch = Batch(
        ["k"],
        encoder.pixels([sample.image]),
        read["input_ids"],
        read["attention_mask"],
        spans.tokens,
        spans.mask,
    )
    dual = encoder.dual
    images, patches = dual.encode_image(batch.pixel_values)
    texts, words = dual.encode_text(batch.input_ids, batch.attention_mask)
    features = Features(images, patches, texts, words, batch.attention_mask)
    supervision = ShapleySupervision(SupervisionConfig(regions=3, head_width=8, budget=1), 16, 1, 12)
    inputs = SupplierInputs(dual, generator, features, batch)
    seen = supervision(inputs, StepContext.of(0, 0, 0)).targets
    torch.testing.assert_close(found.alignment, seen.semantic.alignment[0, :, :3].detach(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.boxes, seen.regions.boxes[0].detach())
    torch.testing.assert_close(found.confidence, seen.regions.confidence_logits[0].detach().sigmoid())
    assert [phrase.text for phrase in found.phrases] == ["red umbrella", "the blue boat", "tree"]


def test_phrases_beyond_the_cut_are_left_out(export):
    encoder = TokenEncoder(export)
    long = "a red umbrella on the blue boat by a tree and one more dog"  # the tower reads ten words
    found = align(
        encoder,
        PROPOSERS["saliency"],
        described(long, ("umbrella", "dog")),
        proposal_options({"evaluations": 8}),
    )
    assert [phrase.text for phrase in found.phrases] == ["umbrella"]
    assert found.alignment.shape == (len(found.boxes), 1)
    assert found.attributions.shape == found.phrase_maps.shape == (1, 4)
    assert align(encoder, PROPOSERS["saliency"], described(long, ("dog",)), proposal_options({})) is None


def test_maps_are_those_of_the_stock_model(export):
    encoder, sample = TokenEncoder(export), described()
    model = AutoModel.from_pretrained(export).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(export), AutoTokenizer.from_pretrained(export)
    with torch.no_grad():
        out = model.vision_model(**processor(sample.image, return_tensors="pt"))
        patches = [token / token.norm() for token in model.visual_projection(out.last_hidden_state)[0][1:]]
        read = tokenizer([CAPTION], return_tensors="pt", return_offsets_mapping=True)
        offsets = read.pop("offset_mapping")[0].tolist()
        words = model.text_projection(model.text_model(**read).last_hidden_state)[0]
        words = [token / token.norm() for token in words]

    def cosines(start, stop):
        own = [token for token, (a, b) in zip(words, offsets, strict=True) if a < stop and b > start]
        mean = sum(own) / len(own)
        return [float(patch @ (mean / mean.norm())) for patch in patches]

    found = word_maps(encoder, sample, 4)
    assert found.texts == ["red", "umbrella", "blue", "boat"]  # the fifth content word is one too many
    for text, values in zip(found.texts, found.maps, strict=True):
        start = CAPTION.index(text)
        np.testing.assert_allclose(values, cosines(start, start + len(text)), atol=1e-5)
    for patch, best in zip(patches, found.best, strict=True):
        place = max(range(1, len(words) - 1), key=lambda number: float(patch @ words[number]))
        start, stop = offsets[place]
        inside = [
            number
            for number, text in enumerate(found.texts)
            if CAPTION.index(text) <= start and stop <= CAPTION.index(text) + len(text)
        ]
        assert best == (inside[0] if inside else -1)
    aligned = align(encoder, PROPOSERS["saliency"], sample, proposal_options({"evaluations": 16, "ridge": 0}))
    for phrase, values in zip(aligned.phrases, aligned.phrase_maps, strict=True):
        np.testing.assert_allclose(values, cosines(*phrase.span), atol=1e-5)


def test_interactions_are_those_of_their_definition(export):
    encoder, sample = TokenEncoder(export), described()
    boxes = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.5, 0.25, 1.0, 0.5], [0.75, 0.75, 0.4, 0.4]])
    alignment = torch.tensor([[0.5, -0.2], [0.1, 0.3], [0.0, 0.2]])
    aligned = RegionAlignment(
        sample.phrases[:2], boxes, torch.ones(3), alignment, np.zeros((2, 4)), np.zeros((2, 4))
    )
    settings = AlignmentSettings(game_scale=3.0, context="full_text")
    pairs = semantic_pairs(aligned, settings)
    game = SemanticGame(alignment[None] * 3.0)
    for region in range(3):
        for phrase in range(2):
            expected = enumerate_interaction(game, [region, 3 + phrase], 5)
            assert float(pairs[region, phrase]) == pytest.approx(expected, abs=1e-6)

    pixels, text = encoder.pixels([sample.image]), encoder.texts([CAPTION])[0]

    def value(*cells):
        keep = torch.zeros(1, 4)
        keep[0, list(cells)] = 1
        return float(encoder.masked(pixels, keep)[0] @ text)

    found = token_interactions(encoder, sample, aligned, settings, 4096, 256)
    for row, (members, others) in enumerate([((0, 2), (1, 3)), ((0, 1), (2, 3)), ((3,), (0, 1, 2))]):
        expected, worth = 0.0, 0.0
        for size in range(len(others) + 1):
            sets = [s for s in _subsets(others) if len(s) == size]
            for some in sets:
                gain = value(*some, *members) - value(*some)
                alone = sum(value(*some, one) - value(*some) for one in members)
                worth += gain / len(sets) / (len(others) + 1)
                expected += (gain - alone) / len(sets) / (len(others) + 1)
        assert float(found.interaction[0, row]) == pytest.approx(expected, abs=0.01)
        assert float(found.value[0, row]) == pytest.approx(worth, abs=0.01)


def _subsets(items):
    return [[one for place, one in enumerate(items) if code >> place & 1] for code in range(2 ** len(items))]


def test_settings_are_those_of_the_recipe(export, tmp_path):
    folder = tmp_path / "export"
    shutil.copytree(export, folder)
    record = json.loads((folder / "export.json").read_text())
    assert settings_of(str(folder), 0.05) == AlignmentSettings(scale=20.0)
    supervision = {"game_scale": 4.0, "absent": "drop", "context": "full_text"}
    for objectives, expected in (
        ({"phrase_attribution": {"temperature": 0.2}}, AlignmentSettings(scale=5.0)),
        ({"fine_grained": {"scale": 7}}, AlignmentSettings(7.0, 4.0, "drop", "full_text")),
        ({"fine_grained": {}, "phrase_attribution": {}}, AlignmentSettings(1.0, 4.0, "drop", "full_text")),
    ):
        record["config"] |= {"objectives": {"contrastive": {}} | objectives, "supervision": supervision}
        (folder / "export.json").write_text(json.dumps(record))
        assert settings_of(str(folder), 0.05) == expected
    (folder / "export.json").unlink()  # another dual encoder's folder
    assert settings_of(str(folder), 0.1).scale == pytest.approx(10)
