"""A task of tomorrow on the page: without an entry its scores, with one entry all of it."""

import json
from pathlib import Path

import pytest
from markupsafe import Markup

import pretrain.report
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


def test_one_entry_shows_a_task_in_all_places(counting, tmp_path, monkeypatch):
    def counted(examples, pictures):
        texts = [f"{pictures.name}/{entry['image']}: {entry['text']}" for entry in examples["counting"]]
        return Markup("<p>{}</p>").format(texts[0])

    entry = ReportedTask(
        remark="Objects per image, in percent.",
        headline="exact",
        examples=counted,
        examples_remark="Counted: what <is> seen.",
        boxes=True,
    )
    monkeypatch.setitem(REPORTED, "counting", entry)
    page = page_of(counting, tmp_path)
    assert '<p class="quiet">Objects per image, in percent.</p>' in page
    assert "<b>62.5 %</b><span>counting exact</span><small>test, chance 12.5 %</small>" in page
    assert "<h2>What it finds: counting</h2>" in page
    assert "Counted: what &lt;is&gt; seen." in page
    assert "<p>examples/3: &lt;script&gt;alert(1)&lt;/script&gt;</p>" in page
    assert "where it is" in page  # the legend
    assert "<script" not in page


def test_every_task_of_the_registry_says_what_its_scores_are():
    assert pretrain.report.REPORTED is REPORTED
    assert all(task.remark for task in REPORTED.values())
    assert all(task.examples_remark for task in REPORTED.values() if task.examples)
