from pathlib import Path

from pretrain.report.headlines import headlines
from pretrain.report.sources import Curation, Evaluation, Run


def evaluated(data: str = "test", way: str = "", **result) -> Evaluation:
    return Evaluation(Path("there"), result, data, way)


def test_retrieval_has_both_directions():
    result = {"image_to_text": {"R@1": 0.25}, "text_to_image": {"R@1": 0.5}, "images": 1000}
    assert headlines([evaluated(task="retrieval", **result)], [], None) == [
        ("50.0 %", "R@1 text → image", "test, 1,000 images"),
        ("25.0 %", "R@1 image → text", "test, 1,000 images"),
    ]


def test_each_data_has_its_best_way():
    evaluations = [
        evaluated("test", "pixel", task="detection", **{"mAP@0.5": 0.25}),
        evaluated("test", "regions", task="detection", **{"mAP@0.5": 0.5, "chance": 0.125}),
        evaluated("unseen", "pixel", task="detection", **{"mAP@0.5": 0.75}),
        evaluated("test", task="linear-probe", top1=0.875),
        evaluated("test", task="alignment", pointing=0.5),  # which has no headline
        evaluated("test", task="of tomorrow", top1=0.5),  # nor has a task without an entry
    ]
    assert headlines(evaluations, [], None) == [
        ("50.0 %", "detection mAP@0.5", "test, best of 2: regions, chance 12.5 %"),
        ("75.0 %", "detection mAP@0.5", "unseen, pixel"),
        ("87.5 %", "linear-probe top1", "test"),
    ]


def test_data_and_steps_stand_last(tmp_path):
    curation = Curation("x", {"funnel": {"kept": 1500, "samples": 2000}})
    run = Run(
        tmp_path, {"config": {}}, [{"step": 10, "train/loss": 3.0}, {"step": 2000, "train/loss": 1.23456}]
    )
    assert headlines([], [curation], run) == [
        ("1,500", "pairs kept", "of 2,000 found"),
        ("2,000", "steps", "loss 1.235 at the end"),
    ]
    assert headlines([], [], Run(tmp_path, {"config": {}}, [{"step": 5}])) == [("5", "steps", "")]
    assert headlines([], [], Run(tmp_path, {"config": {}}, [])) == []
