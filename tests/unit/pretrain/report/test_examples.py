"""Sections of examples: one per task, the first evaluation open, the others folded."""

import json
from pathlib import Path

import pytest

from pretrain.report import REPORTED
from pretrain.report.examples import example_sections
from pretrain.report.sources import Evaluation


@pytest.fixture
def evaluation(tmp_path):
    """Writes the examples of a task and returns the evaluation that left them."""

    def write(task: str, examples: dict | None, way: str = "") -> Evaluation:
        folder = Path(tmp_path / f"{task} {way}")
        folder.mkdir()
        if examples is not None:
            (folder / "examples.json").write_text(json.dumps(examples))
        return Evaluation(folder, {"task": task}, "test", way)

    return write


def test_evaluations_of_a_task_share_a_section(evaluation):
    sections = dict(
        example_sections(
            [
                evaluation(
                    "grounding", {"grounding": [{"image": 0, "text": "first <a>", "iou": 0.9}]}, "pixel"
                ),
                evaluation("classification", {"classification": [{"image": 0, "class": "cup", "found": []}]}),
                evaluation(
                    "grounding", {"grounding": [{"image": 0, "text": "second", "iou": 0.1}]}, "kmeans"
                ),
            ]
        )
    )
    assert list(sections) == ["What it finds: grounding", "What it finds: classification"]
    grounding = sections["What it finds: grounding"]
    opened, folded = grounding.split("<details><summary>test, kmeans</summary>")
    assert "first &lt;a&gt;" in opened
    assert "<h3>test, pixel</h3>" in opened
    assert "second" in folded
    assert REPORTED["grounding"].remark in opened


def test_a_legend_stands_over_pictures_with_boxes_alone(evaluation):
    sections = dict(
        example_sections(
            [
                evaluation("detection", {"detection": [{"image": 0, "objects": [], "found": []}]}),
                evaluation("classification", {"classification": [{"image": 0, "class": "cup", "found": []}]}),
            ]
        )
    )
    assert sections["What it finds: detection"].count("border-color:#") == 3
    assert "border-color" not in sections["What it finds: classification"]


def test_what_left_no_examples_has_no_section(evaluation):
    assert (
        example_sections([evaluation("linear-probe", None), evaluation("unheard of", {"unheard of": [1]})])
        == []
    )
    assert example_sections([evaluation("grounding", None), evaluation("detection", {})]) == []
