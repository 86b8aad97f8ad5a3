import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data_filters.errors import InputError
from pretrain.evaluation.data.scenes import SceneStream
from pretrain.evaluation.metrics.boxes import iou
from pretrain.evaluation.runner import run_evaluation


def evaluate(export, data, output=None, *, progress=None, **options):
    """The metrics of the task with these options."""
    return run_evaluation("detection", export, data, output, options=options, progress=progress)


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
    metrics = evaluate(
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


def test_user_errors(export, scenes, shards):
    with pytest.raises(InputError, match="names no object"):
        evaluate(export, shards)
    with pytest.raises(
        InputError, match="calibration is 'none'; allowed are cosine, softmax, prior, evidence"
    ):
        evaluate(export, scenes, calibration="none")
    with pytest.raises(
        InputError, match="calibration is evidence with embedding: alone; set embedding to ends"
    ):
        evaluate(export, scenes, calibration="evidence")
    with pytest.raises(InputError, match="template is 'nothing'"):
        evaluate(export, scenes, templates="nothing")
