"""Statistics against numpy; which score stands where; a picture that is whole."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from cluster.ablation.page import write_results
from cluster.ablation.picture import draw_table
from cluster.ablation.plan import AblationPlan
from cluster.ablation.table import Column, as_json, as_markdown, as_texts, make_table, mean_and_spread

PLAN = AblationPlan.model_validate(
    {
        "title": "A & B",
        "base": "icon_world",
        "rows": {
            "a": {
                "title": "Plain <a>",
                "evaluations": [{"name": "pixel", "task": "grounding", "title": "CLIP + pixel"}],
            },
            "b": {"title": "Taught"},
            "c": {"title": "Not yet"},
        },
        "evaluations": [
            {"name": "found", "task": "retrieval"},
            {"name": "said", "task": "grounding"},
            {"name": "said_unseen", "task": "grounding", "split": "unseen"},
        ],
    }
)
SEEDS = (0, 1, 7)


def scored(task: str, split: str, title: str | None, **scores: float) -> dict:
    return {"task": task, "split": split, "title": title, "scores": scores}


def result(row: str, seed: int, accuracy: float) -> dict:
    found = {"image_to_text.R@1": 0.5, "text_to_image.R@1": accuracy / 2, "images": 8}
    evaluations = {
        "found": scored("retrieval", "test", None) | {"scores": found},
        "said": scored("grounding", "test", None)
        | {"scores": {"accuracy@0.5": accuracy, "grid_bound": 0.9, "chance": 0.1 + seed / 100}},
    }
    if row == "a":
        evaluations["pixel"] = scored("grounding", "test", "CLIP + pixel") | {
            "scores": {"accuracy@0.5": accuracy / 10, "grid_bound": 0.9, "chance": 0.1 + seed / 100}
        }
    costs = {"seconds_per_step": 1.0 + seed, "cpu_seconds_per_step": 2.0, "own_steps": 4}
    return {"row": row, "seed": seed, "training": costs, "evaluations": evaluations}


ACCURACIES = {"a": [0.2, 0.4, 0.35], "b": [0.6, 0.7, 0.61]}
RESULTS = [
    result(row, seed, value)
    for row, values in ACCURACIES.items()
    for seed, value in zip(SEEDS, values, strict=True)
]


@pytest.mark.parametrize("count", [2, 3, 10])
def test_mean_and_spread_are_numpys(count):
    values = np.random.default_rng(count).random(count)
    mean, spread = mean_and_spread(values.tolist())
    assert mean == pytest.approx(values.mean())
    assert spread == pytest.approx(values.std(ddof=1))


def test_one_value_has_no_spread():
    assert mean_and_spread([0.3]) == (0.3, None)


def test_every_score_stands_in_its_line_and_column():
    table = make_table(PLAN, RESULTS)
    assert [(line.title, line.kind) for line in table.lines] == [
        ("Plain <a>", "row"),
        ("CLIP + pixel", "baseline"),
        ("Taught", "row"),
        ("the grid's upper bound", "yardstick"),
        ("chance", "yardstick"),
    ]
    said = Column("grounding", "test", "accuracy@0.5")
    plain, pixel, taught, bound, chance = (line.values for line in table.lines)
    assert plain[said] == dict(zip(SEEDS, ACCURACIES["a"], strict=True))
    assert taught[said] == dict(zip(SEEDS, ACCURACIES["b"], strict=True))
    assert pixel == {said: pytest.approx({0: 0.02, 1: 0.04, 7: 0.035})}
    assert bound == {said: pytest.approx(dict.fromkeys(SEEDS, 0.9))}
    assert chance == {said: pytest.approx({0: 0.1, 1: 0.11, 7: 0.17})}
    # Nothing was measured on unseen yet: no column.
    assert [column.name for column in table.columns] == [
        "R@1 image → text",
        "R@1 text → image",
        "grounding@0.5",
        "s/step",
        "CPU s/step",
    ]


def test_the_markdown_says_what_the_values_are():
    lines = as_markdown(make_table(PLAN, RESULTS)).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    taught = next(row for row in cells if row[0] == "Taught")
    mean, spread = np.mean(ACCURACIES["b"]), np.std(ACCURACIES["b"], ddof=1)
    assert taught[3] == f"{mean:.3f} ± {spread:.3f}"
    assert next(row for row in cells if "pixel" in row[0])[1] == ""


def test_a_metric_on_two_splits_names_them():
    more = [dict(one, evaluations=dict(one["evaluations"])) for one in RESULTS]
    for one in more:
        one["evaluations"]["said_unseen"] = one["evaluations"]["said"] | {"split": "unseen"}
    head, _ = as_texts(make_table(PLAN, more))
    assert head[3:5] == ["grounding@0.5, test", "grounding@0.5, unseen"]


def test_json_holds_every_seed():
    document = json.loads(json.dumps(as_json(make_table(PLAN, RESULTS))))
    score = document["lines"][0]["scores"]["grounding@0.5"]
    assert score["seeds"] == {"0": 0.2, "1": 0.4, "7": 0.35}
    assert score["mean"] == pytest.approx(np.mean(ACCURACIES["a"]))


def test_the_picture_has_a_dot_for_each_seed_and_a_mark_for_each_mean():
    table = make_table(PLAN, RESULTS)
    root = ElementTree.fromstring(draw_table(table))
    space = {"s": "http://www.w3.org/2000/svg"}
    drawn = [
        seeds
        for line in table.lines
        for column, seeds in line.values.items()
        if line.kind != "yardstick" and column.name != "CPU s/step"
    ]
    assert len(root.findall(".//s:circle", space)) == sum(map(len, drawn))
    assert len(root.findall(".//s:line[@class='m']", space)) == len(drawn)
    assert len(root.findall(".//s:line[@class='yard']", space)) == 2
    _, _, width, height = map(float, root.get("viewBox").split())
    for mark in root.iter():
        for name, most in (("cx", width), ("x", width), ("cy", height), ("y", height)):
            assert 0 <= float(mark.get(name, 0)) <= most


def test_an_axis_holds_the_means_where_they_belong():
    """Of two marks in a panel, distances from the axis stand as the means do."""
    table = make_table(PLAN, RESULTS)
    root = ElementTree.fromstring(draw_table(table))
    bars = [
        group.find("{http://www.w3.org/2000/svg}rect")
        for group in root.iter("{http://www.w3.org/2000/svg}g")
        if group.get("class") == "row"
    ]
    by_panel: dict[tuple[str, bool], list[float]] = {}
    for bar in bars:
        by_panel.setdefault((bar.get("x"), float(bar.get("y")) > 200), []).append(float(bar.get("width")))
    plain, taught = by_panel[sorted(place for place in by_panel if not place[1])[-1]]
    assert taught / plain == pytest.approx(np.mean(ACCURACIES["b"]) / np.mean(ACCURACIES["a"]), rel=1e-2)


def test_the_files_hold_titles_as_text(tmp_path):
    write_results(tmp_path, PLAN, make_table(PLAN, RESULTS), RESULTS, {"c, seed 0": "<no memory>"})
    html = (tmp_path / "ablation.html").read_text()
    assert "Plain &lt;a&gt;" in html
    assert "&lt;no memory&gt;" in html
    assert "http://www.w3.org/2000/svg" in (tmp_path / "ablation.svg").read_text()
    assert json.loads((tmp_path / "ablation.json").read_text())["failed"] == {"c, seed 0": "<no memory>"}
    assert "± standard deviation over seeds" in (tmp_path / "ablation.md").read_text()


def test_nothing_done_yet_is_an_empty_table(tmp_path):
    write_results(tmp_path, PLAN, make_table(PLAN, []), [], {})
    assert json.loads((tmp_path / "ablation.json").read_text())["lines"] == []
