import contextlib
import io
import json

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data_filters.errors import InputError
from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.localisation.proposals import PROPOSERS, proposal_options
from pretrain.evaluation.metrics.boxes import iou
from pretrain.evaluation.prompts import class_embeddings
from pretrain.evaluation.tasks.detection import CALIBRATIONS, Detector, evaluate_detection, suppress
from pretrain.evaluation.token_encoder import TokenEncoder


def judge(folder, thresholds):
    """[classes] average precision that pycocotools gives to the files an evaluation wrote, at each threshold."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "ground_truth.json"))
        referee = COCOeval(truth, truth.loadRes(str(folder / "detections.json")), "bbox")
        referee.params.iouThrs = np.array(thresholds)
        referee.evaluate()
        referee.accumulate()
    precision = referee.eval["precision"][:, :, :, 0, -1]
    return np.where(precision.min(1) < 0, np.nan, precision.mean(1))


@pytest.mark.parametrize("way", ["regions", "attribution", "gradcam"])
def test_scores_are_those_of_pycocotools(region_export, scenes, tmp_path, way):
    output = tmp_path / "scores"
    metrics = evaluate_detection(
        region_export, scenes, str(output), proposals=way, evaluations=16, regions=4, examples=2
    )
    table = judge(output, [0.3, 0.5])
    assert metrics["mAP@0.3"] == pytest.approx(np.nanmean(table[0]), abs=1e-9)
    assert metrics["mAP@0.5"] == pytest.approx(np.nanmean(table[1]), abs=1e-9)
    assert metrics["mAP@[.5:.95]"] == pytest.approx(
        np.nanmean(judge(output, np.linspace(0.5, 0.95, 10))), abs=1e-9
    )
    assert np.nanmax(judge(output, [0.05])) > 0  # the files hold something to judge
    names = [one["name"] for one in json.loads((output / "ground_truth.json").read_text())["categories"]]
    for place, name in enumerate(names):
        assert metrics["per_class"][name]["AP@0.3"] == pytest.approx(table[0, place], abs=1e-5)
    assert json.loads((output / "metrics.json").read_text()) == metrics
    assert (metrics["images"], metrics["classes"], metrics["skipped"]) == (9, len(names), {"no_boxes": 1})
    assert metrics["objects"] == sum(len(scene.objects) for scene in SceneStream(scenes))
    examples = json.loads((output / "examples.json").read_text())["detection"]
    assert len(examples) == 2
    for one in examples:
        assert (output / "examples" / f"{one['image']}.jpg").is_file()
        for hit in one["found"]:
            same = [box["box"] for box in one["objects"] if box["name"] == hit["name"]]
            met = bool(same) and iou([hit["box"]], same).max()
            assert hit["right"] == (met >= 0.5) or abs(met - 0.5) < 0.02


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


def test_calibrations_know_the_names_own_bias():
    similar = torch.tensor([[0.5, 0.3], [0.2, 0.3]])
    nothing = torch.tensor([[0.4, 0.1]])
    assert CALIBRATIONS["cosine"](similar, nothing, 0.1)[0].tolist() == pytest.approx([0.75, 0.65])
    plain, fair = (CALIBRATIONS[name](similar, nothing, 0.1) for name in ("softmax", "prior"))
    assert plain[0].argmax() == 0
    assert fair[0].argmax() == 1  # it gains 0.2 over the empty image, the other 0.1
    e = np.exp([1.0, 2.0])
    assert fair[0].tolist() == pytest.approx((e / e.sum()).tolist())


def test_user_errors(export, scenes, shards):
    with pytest.raises(InputError, match="names no object"):
        evaluate_detection(export, shards)
    with pytest.raises(InputError, match="calibration is 'none'; allowed are cosine, softmax, prior"):
        evaluate_detection(export, scenes, calibration="none")
    with pytest.raises(InputError, match="template is 'nothing'"):
        evaluate_detection(export, scenes, templates="nothing")
