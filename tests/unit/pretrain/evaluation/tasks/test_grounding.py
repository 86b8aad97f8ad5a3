import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data_filters.errors import InputError
from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation import PROPOSERS
from pretrain.evaluation.localisation.candidates import Candidates
from pretrain.evaluation.runner import run_evaluation


def evaluate(export, data, output=None, *, progress=None, **options):
    """The metrics of the task with these options."""
    return run_evaluation("grounding", export, data, output, options=options, progress=progress)


def plain_iou(a, b):
    left, right = max(a[0], b[0]), min(a[0] + a[2], b[0] + b[2])
    top, bottom = max(a[1], b[1]), min(a[1] + a[3], b[1] + b[3])
    shared = max(0, right - left) * max(0, bottom - top)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def cut(box):
    """The part of a box inside the image of 20×24 px."""
    left, top = max(box[0], 0), max(box[1], 0)
    return left, top, min(box[0] + box[2], 20) - left, min(box[1] + box[3], 24) - top


@pytest.fixture
def answers(scenes, monkeypatch):
    """A way to boxes that gives known ones, some right and some not; what it will give, scene by scene."""
    generator = np.random.default_rng(0)
    given = []
    for scene in SceneStream(scenes):
        boxes = np.array([scene.objects[one.target].box for one in scene.expressions])
        boxes[:, :2] += generator.uniform(0, 5, (len(boxes), 2))  # no IoU of exactly 0.5
        given.append(boxes)
    left = iter(given)

    def answer(encoder, pixels, texts, options, count):
        boxes = torch.tensor(next(left)) / torch.tensor([20, 24, 20, 24])
        centred = torch.cat([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]], 1)[:, None]
        return Candidates(centred, torch.ones(len(boxes), 1, dtype=torch.bool), torch.ones(len(boxes), 1))

    monkeypatch.setitem(PROPOSERS, "known", answer)
    return given


def test_accuracy_is_that_of_a_plain_loop(export, scenes, answers, tmp_path):
    found, kinds, truth_alone, dealt = [], [], [], []
    for scene, boxes in zip(SceneStream(scenes), answers, strict=True):
        for one, box in zip(scene.expressions, boxes, strict=True):
            target = scene.objects[one.target].box
            found.append(plain_iou(cut(box), target))
            kinds.append(one.kind)
            alike = [plain_iou(target, other.box) >= 0.5 for other in scene.objects]
            truth_alone.append(sum(alike) / len(alike))
            dealt.append(np.mean([plain_iou(cut(other), target) >= 0.5 for other in boxes]))
    expected = np.array(found)
    assert 0.1 < (expected >= 0.5).mean() < 0.9
    output = tmp_path / "scores"
    metrics = evaluate(export, scenes, str(output), proposals="known", examples=3)
    assert metrics["accuracy@0.5"] == pytest.approx((expected >= 0.5).mean())
    assert metrics["accuracy@0.3"] == pytest.approx((expected >= 0.3).mean())
    assert metrics["mean_iou"] == pytest.approx(expected.mean())
    assert metrics["text_blind"] == pytest.approx(np.mean(dealt))
    assert metrics["text_blind"] < metrics["accuracy@0.5"]
    assert metrics["chance_object"] == pytest.approx(np.mean(truth_alone))
    for kind in ("full", "name"):
        own = expected[[one == kind for one in kinds]]
        assert metrics["per_kind"][kind] == pytest.approx((own >= 0.5).mean())
    assert (metrics["count"], metrics["images"], metrics["skipped"]) == (len(expected), 9, {"no_boxes": 1})
    assert (metrics["task"], metrics["export"], metrics["data"]) == ("grounding", export, scenes)
    assert json.loads((output / "metrics.json").read_text()) == metrics
    examples = json.loads((output / "examples.json").read_text())["grounding"]
    assert [one["image"] for one in examples] == [0, 2, 6]
    for one in examples:
        assert one["iou"] == pytest.approx(plain_iou(one["box"], one["truth"]), abs=0.02)
        assert (output / "examples" / f"{one['image']}.jpg").is_file()


def test_only_the_wanted_kinds_are_grounded(export, scenes):
    whole = evaluate(export, scenes, proposals="pixel")
    some = evaluate(export, scenes, proposals="pixel", kinds=["name"])
    assert some["per_kind"] == {"name": whole["per_kind"]["name"]}
    assert 0 < some["count"] < whole["count"]
    assert some["kinds"] == ["name"]
    assert "kinds" not in whole
    with pytest.raises(InputError, match="has no referring expression of kind smell"):
        evaluate(export, scenes, kinds=["smell"])


def test_user_errors(export, scenes, shards, tmp_path):
    with pytest.raises(InputError, match="has no referring expression"):
        evaluate(export, shards)
    with pytest.raises(InputError, match="proposals is 'luck'"):
        evaluate(export, scenes, proposals="luck")
    with pytest.raises(InputError, match="unknown key colour"):
        evaluate(export, scenes, colour="red")
    output = str(tmp_path / "out")
    evaluate(export, scenes, output, proposals="pixel", gallery=2)
    assert Path(output, "metrics.json").is_file()
    with pytest.raises(InputError, match="proposals 'pixel', this is proposals 'gradcam'"):
        evaluate(export, scenes, output, proposals="gradcam", gallery=2)
