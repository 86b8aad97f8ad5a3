"""The page of an ablation: every part of the plan and of the results is on it, as text."""

import re

from cluster.ablation.page import write_results
from cluster.ablation.plan import AblationPlan
from cluster.ablation.table import Column, Line, Table

PLAN = AblationPlan.model_validate(
    {
        "title": "Rows & <columns>",
        "base": "icon_world",
        "common": {"schedule": {"steps": 100}},
        "rows": {
            "plain": {"title": "Plain"},
            "taught": {
                "title": "Taught <well>",
                "start": {"row": "plain", "steps": 40},
                "overrides": {"seed": 7},
            },
        },
    }
)
RECALL = Column("retrieval", "test", "text_to_image.R@1")
TABLE = Table(
    PLAN.title,
    (RECALL,),
    (
        Line("plain", "Plain", "row", {RECALL: {0: 0.25, 1: 0.75}}),
        Line("", "chance", "yardstick", {RECALL: {0: 0.1}}),
    ),
)
RESULTS = [{"row": "plain", "seed": seed} for seed in (1, 0)]


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the tables below a heading."""
    section = page.split(f"<h2>{heading}</h2>")[1].split("</section>")[0]
    return [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall("<tr>(.*?)</tr>", section)]


def written(tmp_path, results=RESULTS, table=TABLE, failed=None) -> str:
    write_results(tmp_path, PLAN, table, results, failed or {})
    return (tmp_path / "ablation.html").read_text()


def test_scores_seeds_and_settings_are_tables(tmp_path):
    page = written(tmp_path, failed={"taught, seed 0": "<no memory>"})
    assert "Rows &amp; &lt;columns&gt;" in page
    assert "2 trainings, seeds 0, 1; mean ± standard deviation" in page
    # By hand: the mean of 0.25 and 0.75, and half of their distance times the root of two.
    assert rows(page, "Scores")[1:] == [["Plain", "0.500 ± 0.354"], ["chance", "0.100"]]
    assert rows(page, "Every seed")[1:] == [["Plain, seed 0", "0.250"], ["Plain, seed 1", "0.750"]]
    assert rows(page, "Failed")[1:] == [["taught, seed 0", "&lt;no memory&gt;"]]
    assert rows(page, "Rows") == [["seed", "7"]]
    assert rows(page, "Common to all rows") == [["base", "icon_world"], ["schedule.steps", "100"]]
    assert "Taught &lt;well&gt;" in page
    assert "plain: from random weights" in page
    assert "taught: after 40 steps of Plain" in page


def test_the_picture_stands_on_the_page_as_it_lies_beside_it(tmp_path):
    page = written(tmp_path)
    picture = (tmp_path / "ablation.svg").read_text()
    assert picture.startswith("<svg")
    assert page.count(picture.strip()) == 1
    assert "<script" not in page


def test_without_results_the_plan_is_shown(tmp_path):
    page = written(tmp_path, [], Table(PLAN.title, (), ()))
    assert "0 trainings, seeds none" in page
    assert "<h2>Scores</h2>" not in page
    assert rows(page, "Common to all rows")[0] == ["base", "icon_world"]
    assert (tmp_path / "ablation.svg").read_text() == ""
