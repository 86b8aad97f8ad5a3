import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.evaluation.data.phrase_objects import CaptionedImage, Phrase
from pretrain.evaluation.localisation.alignment import RegionAlignment
from pretrain.evaluation.metrics.alignment import AlignmentScores

GRID = (4, 5)


def make(generator, alignment=None, constant=False):
    """A sample of 50×30 px with 3 objects, 5 phrases (of which one names nothing and one two objects), 6 regions."""
    boxes = np.concatenate([generator.uniform(0, 15, (3, 2)), generator.uniform(2, 15, (3, 2))], 1)
    objects = [(0,), (), (2,), (0, 1), (2,)]
    phrases = tuple(Phrase("x", (0, 1), some) for some in objects)
    near = boxes[[0, 1, 2, 2]] + generator.uniform(-0.5, 0.5, (4, 4))
    regions = np.concatenate([near, generator.uniform(5, 20, (2, 4))])
    centred = np.concatenate([regions[:, :2] + regions[:, 2:] / 2, regions[:, 2:]], 1) / [50, 30, 50, 30]
    maps = [np.full((5, 20), 0.3) if constant else generator.normal(size=(5, 20)) for _ in range(2)]
    given = generator.normal(size=(6, 5)) if alignment is None else alignment
    described = CaptionedImage("k", Image.new("RGB", (50, 30)), "c", phrases, "phrases", boxes)
    return described, RegionAlignment(
        phrases, torch.tensor(centred), torch.ones(6), torch.tensor(given), maps[0], maps[1]
    )


def inside(cell, box):
    x, y = (cell % 5 + 0.5) * 10, (cell // 5 + 0.5) * 7.5
    middle = box[0] + box[2] / 2, box[1] + box[3] / 2
    home = int(middle[0] // 10) + 5 * int(middle[1] // 7.5) == cell
    return home or (box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3])


def plain_iou(a, b):
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0, width) * max(0, height)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def test_scores_are_those_of_a_plain_loop():
    generator = np.random.default_rng(0)
    scores, samples = AlignmentScores(), [make(generator) for _ in range(20)]
    for described, aligned in samples:
        scores.add(described, aligned, GRID)
    found = scores.summary()
    for name, which in (("word_patch", "phrase_maps"), ("attribution", "attributions")):
        hits, chance, blind = [], [], []
        for described, aligned in samples:
            asked = [number for number, phrase in enumerate(described.phrases) if phrase.objects]
            places = {number: int(getattr(aligned, which)[number].argmax()) for number in asked}
            for number in asked:
                own = [described.boxes[one] for one in described.phrases[number].objects]
                good = [any(inside(cell, box) for box in own) for cell in range(20)]
                hits.append(good[places[number]])
                chance.append(np.mean(good))
                blind.append(np.mean([good[places[other]] for other in asked]))
        assert found[f"pointing_{name}"] == pytest.approx(np.mean(hits))
        assert found[f"pointing_{name}_chance"] == pytest.approx(np.mean(chance))
        assert found[f"pointing_{name}_text_blind"] == pytest.approx(np.mean(blind))
    assert found["named_phrases"] == 4 * len(samples)
    right, luck = [], []
    for described, aligned in samples:
        for box, row in zip(aligned.boxes_in(described), aligned.alignment, strict=True):
            overlaps = [plain_iou(box, other) for other in described.boxes]
            own = int(np.argmax(overlaps))
            if overlaps[own] >= 0.5:
                right.append(own in described.phrases[int(row.argmax())].objects)
                luck.append(np.mean([own in phrase.objects for phrase in described.phrases]))
    assert 30 < len(right) < 6 * len(samples)
    assert found["phrase_of_region"] == pytest.approx(np.mean(right))
    assert found["phrase_of_region_chance"] == pytest.approx(np.mean(luck))
    assert found["matched_regions"] == len(right)


def test_a_model_that_says_the_same_of_everything_scores_as_chance():
    generator = np.random.default_rng(1)
    scores = AlignmentScores()
    for _ in range(3):
        scores.add(*make(generator, np.full((6, 5), 0.7), constant=True), GRID)
    found = scores.summary()
    for name in ("pointing_word_patch", "pointing_attribution", "phrase_of_region"):
        assert found[name] == pytest.approx(found[f"{name}_chance"])


def test_regions_without_a_choice_and_data_without_truth_are_not_measured():
    generator = np.random.default_rng(2)
    described, aligned = make(generator)
    nothing = tuple(Phrase("x", (0, 1)) for _ in range(5))
    scores = AlignmentScores()
    scores.add(
        CaptionedImage("k", described.image, "c", nothing, "words", described.boxes),
        RegionAlignment(nothing, *[getattr(aligned, name) for name in list(vars(aligned))[1:]]),
        GRID,
    )
    assert scores.summary() == {}
    single = RegionAlignment(
        (Phrase("x", (0, 1), (0, 1, 2)),),
        aligned.boxes,
        aligned.confidence,
        aligned.alignment[:, :1],
        aligned.phrase_maps[:1],
        aligned.attributions[:1],
    )
    scores.add(described, single, GRID)
    found = scores.summary()
    assert (found["named_phrases"], found["matched_regions"]) == (1, 0)
    assert "phrase_of_region" not in found
