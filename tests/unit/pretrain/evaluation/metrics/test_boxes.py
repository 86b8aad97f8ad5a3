import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pretrain.evaluation.metrics.boxes import COCO_THRESHOLDS, THRESHOLDS, DetectionScorer, iou, match


def plain_iou(a, b, crowd):
    left, right = max(a[0], b[0]), min(a[0] + a[2], b[0] + b[2])
    top, bottom = max(a[1], b[1]), min(a[1] + a[3], b[1] + b[3])
    if right <= left or bottom <= top:
        return 0.0
    shared = (right - left) * (bottom - top)
    return shared / (a[2] * a[3] if crowd else a[2] * a[3] + b[2] * b[3] - shared)


def random_boxes(generator, count):
    """Whole numbers in a small space: many boxes coincide, touch, or overlap by exactly a threshold."""
    return np.concatenate([generator.integers(0, 8, (count, 2)), generator.integers(1, 9, (count, 2))], 1)


def test_overlap_is_that_of_a_plain_loop():
    generator = np.random.default_rng(0)
    found, truth = random_boxes(generator, 40), random_boxes(generator, 30)
    crowd = generator.random(30) < 0.3
    expected = [[plain_iou(a, b, c) for b, c in zip(truth, crowd, strict=True)] for a in found]
    np.testing.assert_allclose(iou(found, truth, crowd), expected, atol=1e-12)
    expected = [[plain_iou(a, b, False) for b in truth] for a in found]
    np.testing.assert_allclose(iou(found, truth), expected, atol=1e-12)
    assert iou(np.zeros((0, 4)), truth).shape == (0, 30)
    assert iou([[0, 0, 0, 5]], [[0, 0, 0, 5]]) == 0


def random_image(generator, classes):
    """What is found (some of it near an object) and what is there, with crowds, ties and empty sides."""
    truth = random_boxes(generator, generator.integers(0, 7))
    true_classes = generator.integers(0, classes, len(truth))
    found = random_boxes(generator, generator.integers(0, 12))
    near = generator.random(len(found)) < 0.6
    found_classes = generator.integers(0, classes, len(found))
    for row in np.flatnonzero(near) if len(truth) else ():
        owner = generator.integers(len(truth))
        found[row] = truth[owner] + generator.integers(0, 2, 4)
        found_classes[row] = true_classes[owner]
    scores = generator.integers(0, 6, len(found)) / 5  # ties within and across images
    return found, scores, found_classes, truth, true_classes, generator.random(len(truth)) < 0.2


def referee(images, classes, most):
    """Average precision [classes, thresholds] by pycocotools; NaN where a class has no object."""
    truth = {
        "images": [],
        "annotations": [],
        "categories": [{"id": c, "name": str(c)} for c in range(classes)],
    }
    results = []
    for place, (found, scores, found_classes, boxes, true_classes, crowd) in enumerate(images):
        truth["images"].append({"id": place})
        for box, name, many in zip(boxes.tolist(), true_classes.tolist(), crowd.tolist(), strict=True):
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": place,
                    "category_id": name,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(many),
                }
            )
        for box, score, name in zip(found.tolist(), scores.tolist(), found_classes.tolist(), strict=True):
            results.append({"image_id": place, "category_id": name, "bbox": box, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(results), "bbox")
        judge.params.iouThrs = np.array(THRESHOLDS)
        judge.params.maxDets = [most]
        judge.params.areaRng, judge.params.areaRngLbl = [[0, 1e10]], ["all"]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 0]  # thresholds, recalls, classes
    return np.where(precision.min(1) < 0, np.nan, precision.mean(1)).T


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("most", [100, 2])
def test_average_precision_is_that_of_pycocotools(seed, most):
    generator = np.random.default_rng(seed)
    images = [random_image(generator, 5) for _ in range(25)]
    scorer = DetectionScorer(most=most)
    for image in images:
        scorer.add(*image)
    expected = referee(images, 5, most)
    found = np.full_like(expected, np.nan)
    for name, values in scorer.per_class().items():
        found[name] = values
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert 0.01 < np.nanmean(expected) < 0.99  # the inputs leave something to tell apart
    summary = scorer.summary()
    mean = np.nanmean(expected, 0)
    assert summary["mAP@0.3"] == pytest.approx(mean[THRESHOLDS.index(0.3)])
    assert summary["mAP@0.5"] == pytest.approx(mean[THRESHOLDS.index(0.5)])
    assert summary["mAP@[.5:.95]"] == pytest.approx(
        mean[[THRESHOLDS.index(t) for t in COCO_THRESHOLDS]].mean()
    )


def test_a_crowd_forgives_many_and_counts_for_nothing():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 2, 2], [20, 20, 2, 2]])
    crowd, nothing = np.array([[0, 0, 10, 10]]), np.array([True])
    right, ignored = match(iou(boxes, crowd, nothing), nothing, 0.5)
    assert right.tolist() == [False] * 3
    assert ignored.tolist() == [True, True, False]
    scorer = DetectionScorer()
    scorer.add(boxes, np.ones(3), np.zeros(3, int), crowd, np.zeros(1, int), nothing)
    assert scorer.per_class() == {}
    assert scorer.summary() == {"mAP@0.3": 0.0, "mAP@0.5": 0.0, "mAP@[.5:.95]": 0.0}


def test_nothing_found_scores_nothing_and_everything_found_scores_one():
    truth = np.array([[0, 0, 4, 4], [10, 10, 4, 4]], float)
    names = np.array([0, 1])
    empty, full = DetectionScorer(), DetectionScorer()
    empty.add(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), truth, names)
    full.add(truth, np.array([0.1, 0.9]), names, truth, names)
    assert set(empty.summary().values()) == {0.0}
    assert list(full.summary().values()) == pytest.approx([1, 1, 1])
