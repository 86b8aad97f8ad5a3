"""A task of tomorrow on the page: without an entry its scores, with a line in both registries all of it."""

import json
from pathlib import Path
from typing import ClassVar

import pytest
from markupsafe import Markup

from pretrain.evaluation.options import EvaluationOptions
from pretrain.evaluation.task import EvaluationTask
from pretrain.evaluation.tasks import TASKS
from pretrain.report import REPORTED
from pretrain.report.reported_task import ReportedTask
from pretrain.report.run_page import write_report

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def counting(tmp_path) -> str:
    """The output folder of an evaluation whose task the page has never heard of."""
    folder = tmp_path / "counting"
    (folder / "examples").mkdir(parents=True)
    metrics = {"task": "counting", "data": "x/test", "exact": 0.625, "chance": 0.125, "images": 8}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "examples.json").write_text(json.dumps({"counting": [{"image": 3, "text": EVIL}]}))
    return str(folder)


class Counting(EvaluationTask[EvaluationOptions, None]):
    options = EvaluationOptions
    columns: ClassVar = {"exact": "exact"}
    chief = "exact"
    remark = "Objects per image, in percent."

    def measure(self, evaluation):
        return None

    def summary(self, evaluation, measured):
        return {}


def page_of(folder: str, tmp_path: Path) -> str:
    return Path(write_report(str(tmp_path / "report.html"), evaluations=[folder])).read_text()


def test_a_task_without_an_entry_has_its_scores_in_a_table(counting, tmp_path):
    page = page_of(counting, tmp_path)
    assert "<h3>Counting</h3>" in page
    assert (
        '<td>test</td><td class="number">62.5</td><td class="number">12.5</td><td class="number">8</td>'
        in page
    )
    assert "What it finds" not in page


def test_a_line_in_both_registries_shows_a_task_in_all_places(counting, tmp_path, monkeypatch):
    def counted(examples, pictures):
        texts = [f"{pictures.name}/{entry['image']}: {entry['text']}" for entry in examples["counting"]]
        return Markup("<p>{}</p>").format(texts[0])

    monkeypatch.setitem(REPORTED, "counting", ReportedTask(counted, "Counted: what <is> seen.", boxes=True))
    monkeypatch.setitem(TASKS, "counting", Counting())
    page = page_of(counting, tmp_path)
    assert '<p class="quiet">Objects per image, in percent.</p>' in page
    assert "<b>62.5 %</b><span>counting exact</span><small>test, chance 12.5 %</small>" in page
    assert "<h2>What it finds: counting</h2>" in page
    assert "Counted: what &lt;is&gt; seen." in page
    assert "<p>examples/3: &lt;script&gt;alert(1)&lt;/script&gt;</p>" in page
    assert "where it is" in page  # the legend
    assert "<script" not in page


def test_every_entry_is_of_a_task_and_says_what_its_examples_are():
    assert {*REPORTED} <= {*TASKS}
    assert all(reported.remark for reported in REPORTED.values())
