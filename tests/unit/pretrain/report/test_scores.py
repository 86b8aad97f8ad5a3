import html
import re
from pathlib import Path

from pretrain.report.headlines import headlines
from pretrain.report.scores import score_tables
from pretrain.report.sources import Evaluation


def cells(page: str) -> list[list[str]]:
    """Every row of every table, bold cells with stars around them."""
    page = page.replace("<b>", "*").replace("</b>", "*")
    return [
        [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", page)
    ]


def grounding(way: str, accuracy: float, blind: float, data: str = "test", **more) -> Evaluation:
    result = {
        "task": "grounding",
        "data": data,
        "accuracy@0.5": accuracy,
        "mean_iou": accuracy / 2,
        "per_kind": {"full": accuracy},
        "grid_bound": 0.75,
        "chance": 0.01,
        "text_blind": blind,
        "count": 1234,
        **more,
    }
    return Evaluation(Path("there"), result, data, way)


def test_methods_of_a_task_are_rows_and_yardsticks_stand_apart_from_scores():
    page = score_tables([grounding("pixel", 0.25, 0.2), grounding("attribution", 0.5, 0.125)])
    rows = cells(page)
    assert rows[0] == ["", "scores", "for comparison", ""]
    assert re.findall(r'colspan="(\d+)"', page)[:4] == ["2", "2", "3", "1"]
    assert rows[1] == [
        "data",
        "method",
        "accuracy@0.5",
        "mean IoU",
        "chance",
        "text-blind",
        "grid allows",
        "texts",
    ]
    assert rows[2] == ["test", "pixel", "25.0", "12.5", "1.0", "20.0", "75.0", "1,234"]
    assert rows[3] == ["test", "attribution", "*50.0*", "*25.0*", "1.0", "12.5", "75.0", "1,234"]
    assert rows[4:] == [
        ["", "per kind"],
        ["data", "method", "full"],
        ["test", "pixel", "25.0"],
        ["test", "attribution", "50.0"],
    ]
    assert "what boxes of cells can reach" in page


def test_the_best_is_the_best_of_the_same_data():
    page = score_tables(
        [
            grounding("pixel", 0.25, 0.2),
            grounding("pixel", 0.75, 0.2, "other"),
            grounding("kmeans", 0.125, 0.2),
        ]
    )
    rows = [row for row in cells(page) if row[0] in ("test", "other")][:3]
    assert [row[:3] for row in rows] == [
        ["test", "pixel", "*25.0*"],
        ["test", "kmeans", "12.5"],
        ["other", "pixel", "75.0"],  # the only one of its data
    ]


def test_a_column_of_what_is_no_fraction_is_not_in_percent():
    page = score_tables([grounding("a", 0.5, 0.1, entropy=2.5), grounding("b", 0.5, 0.1, entropy=0.5)])
    rows = cells(page)
    assert rows[2][4] == "*2.5*"
    assert rows[3][4] == "0.5"


def test_scores_with_yardsticks_of_their_own_stand_beside_them():
    result = {
        "task": "alignment",
        "pointing": 0.5,
        "pointing_chance": 0.125,
        "pointing_text_blind": 0.25,
        "matching": 0.75,
        "matching_chance": 0.5,
        "images": 9,
    }
    rows = cells(score_tables([Evaluation(Path("there"), result, "test", "regions")]))
    assert rows[1:] == [
        ["data", "method", "", "score", "chance", "text-blind", "images"],
        ["test", "regions", "pointing", "50.0", "12.5", "25.0", "9"],
        ["test", "regions", "matching", "75.0", "50.0", "–", "9"],
    ]


def test_classes_are_rows_and_methods_columns():
    def detection(way, value):
        per_class = {"dog": {"AP@0.5": value}} | ({"cat": {"AP@0.5": 0.5}} if way == "pixel" else {})
        return Evaluation(
            Path("x"), {"task": "detection", "mAP@0.5": value, "per_class": per_class}, "test", way
        )

    page = score_tables([detection("pixel", 0.25), detection("kmeans", -1)])
    assert cells(page.split("<details>")[1]) == [
        ["AP@0.5", "test, pixel", "test, kmeans"],
        ["cat", "50.0", "–"],
        ["dog", "25.0", "-100.0"],
    ]


def test_retrieval_shows_what_chance_would_find():
    recall = {"R@1": 0.5, "R@5": 0.75, "R@10": 1.0}
    result = {
        "task": "retrieval",
        "images": 40,
        "texts": 80,
        "text_to_image": recall,
        "image_to_text": recall,
    }
    rows = cells(score_tables([Evaluation(Path("x"), result, "test", "")]))
    assert rows[2][2:] == ["50.0", "75.0", "100.0", "2.5", "40", "80"]
    assert len(rows) == 4


def test_headlines_name_the_best_way_and_what_chance_gives():
    entries = headlines([grounding("pixel", 0.25, 0.2), grounding("attribution", 0.5, 0.125)], [], None)
    assert entries == [("50.0 %", "grounding accuracy@0.5", "test, best of 2: attribution, chance 1.0 %")]
