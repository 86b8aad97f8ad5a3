import re

from pretrain.report.recipe import recipe, subtitle
from pretrain.report.sources import Run

CONFIG = {
    "data": {"batch_size": 32},
    "seed": 3,
    "name": "tiny <run>",
    "objectives": {"contrastive": {"weight": 1.0}, "fsa": {}},
    "engine": {"kind": "plain"},
}


def rows(page: str) -> list[list[str]]:
    return [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", page)]


def test_every_setting_is_shown_and_the_machine_s_are_folded(tmp_path):
    page = recipe(Run(tmp_path, {"config": CONFIG}, []))
    opened, folded = page.split("<details>")
    assert rows(opened) == [
        ["name", "tiny &lt;run&gt;"],
        ["seed", "3"],
        ["objectives.contrastive.weight", "1.0"],
        ["objectives.fsa", "{}"],
    ]
    assert rows(folded) == [["data.batch_size", "32"], ["engine.kind", "plain"]]


def test_nothing_is_folded_where_nothing_is_left(tmp_path):
    assert "<details>" not in recipe(Run(tmp_path, {"config": {"seed": 3}}, []))


def test_the_subtitle_says_how_far_the_run_came(tmp_path):
    document = {"config": CONFIG, "config_hash": "abc", "total_steps": 2000}
    run = Run(tmp_path, document, [{"step": 1000}])
    assert subtitle(run) == "contrastive, fsa; batch 32, seed 3, 1,000 of 2,000 steps; config abc"
    assert "0 of 2,000 steps" in subtitle(Run(tmp_path, document, []))


def test_a_task_without_objectives_goes_by_its_name(tmp_path):
    config = {"data": {"batch_size": 8}, "seed": 0, "task": "caption_length"}
    run = Run(tmp_path, {"config": config, "config_hash": "abc"}, [])
    assert subtitle(run) == "caption_length; batch 8, seed 0, 0 of 0 steps; config abc"
