import json

import pytest

from pretrain.export.hugging_face import export_run
from pretrain.export.model_card import _tower, add_scores, flat_scores

RESULT = {
    "task": "retrieval",
    "data": "s3://test",
    "image_to_text": {"R@1": 0.25, "R@5": 0.5},
    "images": 256,
    "skipped": {"no_caption": 2},
    "seconds": 3.5,
}


def test_scores_are_the_fractions_of_a_result_and_nothing_else():
    assert flat_scores(RESULT) == [("image to text R@1", 0.25), ("image to text R@5", 0.5)]
    detection = {"mAP@0.5": 0.4, "per_class": {"dog": 0.9}, "count": 7}
    assert flat_scores(detection) == [("mAP@0.5", 0.4)]


@pytest.mark.parametrize("run_and_encoder", ["vit"], indirect=True)
def test_scores_replace_those_on_the_card_and_leave_the_rest(run_and_encoder, tmp_path):
    run, _ = run_and_encoder
    export = tmp_path / "export"
    export_run(str(run), str(export))
    before = (export / "README.md").read_text()
    assert "Not evaluated yet." in before
    add_scores(str(export), [RESULT])
    add_scores(str(export), [RESULT | {"image_to_text": {"R@1": 0.75}}])
    card = (export / "README.md").read_text()
    assert "| retrieval | `s3://test` | image to text R@1 | 0.750 |" in card
    assert "0.250" not in card
    assert "Not evaluated yet." not in card
    assert card.split("## Scores")[0] == before.split("## Scores")[0]
    assert card.split("## Limits")[1] == before.split("## Limits")[1]
    assert json.loads((export / "export.json").read_text())["name"] == "tiny-vit"


def test_weights_that_training_started_from_are_named():
    shape = {"pretrained": None, "width": 8, "depths": [1]}
    assert _tower("vit", shape, None) == "vit, width 8, layers 1, from random weights"
    assert _tower("vit", shape, "/runs/first") == "vit, width 8, layers 1, from the weights of `/runs/first`"
    assert _tower("vit", shape | {"pretrained": "a/vit"}, None) == "`a/vit`"
    both = _tower("vit", shape | {"pretrained": "a/vit"}, "/runs/first")
    assert both == "`a/vit`, from the weights of `/runs/first`"
