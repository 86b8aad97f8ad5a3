from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation import PROPOSERS
from pretrain.evaluation.localisation.box_embeddings import embed_boxes
from pretrain.evaluation.localisation.detector import Detector, suppress
from pretrain.evaluation.localisation.judge import Judge
from pretrain.evaluation.localisation.proposal_options import proposal_options
from pretrain.evaluation.metrics.boxes import iou
from pretrain.evaluation.prompts import class_embeddings, prompt_embeddings
from pretrain.evaluation.token_encoder import TokenEncoder


def test_suppression_is_a_plain_loop():
    generator = np.random.default_rng(0)
    boxes = np.concatenate([generator.integers(0, 8, (80, 2)), generator.integers(2, 8, (80, 2))], 1)
    classes = generator.integers(0, 3, 80)
    kept = []
    for place in range(80):
        rivals = [other for other in kept if classes[other] == classes[place]]
        if all(iou(boxes[[place]], boxes[[other]])[0, 0] <= 0.4 for other in rivals):
            kept.append(place)
    assert suppress(boxes, classes, 0.4).tolist() == kept
    assert 5 < len(kept) < 75
    assert suppress(np.zeros((0, 4)), np.zeros(0, int), 0.5).tolist() == []


def test_a_shared_box_may_be_of_any_class(region_export, scenes):
    encoder = TokenEncoder(region_export)
    names = ["dog", "umbrella", "red"]
    classes = class_embeddings(encoder, names)
    image = next(iter(SceneStream(scenes))).image
    options = proposal_options({"regions": 4, "suppress_above": 1.0})
    detect = Detector(encoder, PROPOSERS["regions"], classes, options, calibration="softmax", overlap=1.0)
    found = detect(image)
    assert len(found.scores) == 12
    assert (np.diff(found.scores) <= 0).all()
    pixels = encoder.pixels([image])
    with torch.no_grad():
        _, logits = encoder.region_generator.every_cell(encoder.patches(pixels))
    # A box's scores over the classes sum to its confidence.
    for confidence in logits[0].sigmoid().tolist():
        sums = {}
        for box, score in zip(found.boxes.round(4).tolist(), found.scores, strict=True):
            sums[tuple(box)] = sums.get(tuple(box), 0) + score
        assert any(abs(total - confidence) < 1e-5 for total in sums.values())
    fewer = Detector(
        encoder, PROPOSERS["regions"], classes, options, calibration="softmax", overlap=1.0, most=5
    )(image)
    np.testing.assert_allclose(fewer.scores, found.scores[:5])


def test_evidence_is_of_the_box_alone_and_of_what_it_adds(region_export, scenes):
    encoder = TokenEncoder(region_export)
    prompts = prompt_embeddings(encoder, ["dog", "umbrella"], ("a {}", "a red {}"))
    classes = F.normalize(prompts.mean(1), dim=-1)
    image = next(iter(SceneStream(scenes))).image
    options = proposal_options({"regions": 2, "suppress_above": 1.0})
    judge = Judge("ends", "pixels", "median", size_exponent=0.5)
    found = Detector(
        encoder, PROPOSERS["regions"], classes, options, judge, "evidence", overlap=1.0, prompts=prompts
    )(image)
    pixels = encoder.pixels([image])
    candidates = PROPOSERS["regions"](encoder, pixels, classes, options, 1)
    alone, added = (
        embed_boxes(encoder, pixels, candidates.boxes[0], replace(judge, embedding=how))
        for how in ("alone", "ends")
    )
    values = torch.stack([(added @ prompts[:, place].T) for place in range(2)]).amax(0).clamp(min=0)
    expected = (
        (alone @ classes.T / encoder.temperature).softmax(-1) * values * candidates.confidence[0][:, None]
    )
    assert sorted(found.scores) == pytest.approx(sorted(expected.flatten().tolist()), abs=1e-6)
