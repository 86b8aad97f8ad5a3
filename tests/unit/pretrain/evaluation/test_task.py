import pytest

from pretrain.evaluation.options import EvaluationOptions
from pretrain.evaluation.task import Evaluation, number_at


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("top1", 0.5),
        ("image_to_text.R@1", 0.25),
        ("mAP@0.5", 0.75),  # a dot inside a name
        ("per.AP@0.3", 0.125),
        ("images", 7),
        ("image_to_text", None),
        ("right", None),
        ("text_to_image.R@1", None),
        ("top1.R@1", None),
    ],
)
def test_numbers_by_path(path, expected):
    metrics = {
        "top1": 0.5,
        "image_to_text": {"R@1": 0.25},
        "mAP@0.5": 0.75,
        "per": {"AP@0.3": 0.125},
        "images": 7,
        "right": True,
    }
    assert number_at(metrics, path) == expected


def test_progress_is_reported_after_an_item_was_used():
    events = []
    evaluation = Evaluation(
        "export",
        "data",
        EvaluationOptions(gallery=2),
        opened=None,
        progress=lambda done, total: events.append((done, total)),
    )
    for item in evaluation.gallery("abc"):
        events.append(item)
    evaluation.report(5, None)
    assert events == ["a", (1, 2), "b", (2, 2), (5, None)]


@pytest.mark.parametrize(("gallery", "skipped"), [(None, {}), (2, {}), (3, {}), (5, {"short_of_gallery": 2})])
def test_what_a_gallery_asks_for_beyond_the_data_is_counted(gallery, skipped):
    evaluation = Evaluation("export", "data", EvaluationOptions(gallery=gallery), opened=None)
    assert len(list(evaluation.gallery("abc"))) == min(gallery or 3, 3)
    assert evaluation.skipped == skipped
