"""Examples of one picture each: detections and groundings, which are drawn on their pictures, and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from pipelines.common.html.environment import render
from pretrain.report.sources import Json

_RIGHT = 0.5  # IoU


@dataclass(frozen=True)
class Answer:
    """A name that the model gave, its score, its sign, and the kind that colours it: "yes", "no" or ""."""

    name: str
    score: float
    sign: str
    kind: str


@dataclass(frozen=True)
class Example:
    """A picture and its caption: question, answers, verdict."""

    picture: Path
    description: str
    label: str
    asked: str
    answers: Sequence[Answer] = ()
    verdict: str = ""
    kind: str = ""


def render_detection(examples: Json, pictures: Path) -> Markup:
    """Render each picture with what is there, and the best detections with their scores."""
    return _gallery([_detection(entry, pictures) for entry in examples.get("detection", [])])


def render_grounding(examples: Json, pictures: Path) -> Markup:
    """Render each picture with the expression that was asked for, and the IoU of the box."""
    return _gallery([_grounding(entry, pictures) for entry in examples.get("grounding", [])])


def render_classification(examples: Json, pictures: Path) -> Markup:
    """Render each picture with its class, and the nearest classes with their cosines."""
    return _gallery([_classification(entry, pictures) for entry in examples.get("classification", [])])


def _gallery(examples: Sequence[Example]) -> Markup:
    return render("pretrain.report", "gallery.html", examples=examples) if examples else Markup("")


def _detection(entry: Json, pictures: Path) -> Example:
    answers = [_answer(str(hit["name"]), float(hit["score"]), bool(hit["right"])) for hit in entry["found"]]
    return Example(
        picture=pictures / f"{entry['image']}.jpg",
        description=f"detections in image {entry['image']}",
        label="there",
        asked=", ".join(str(item["name"]) for item in entry.get("objects", [])) or "nothing",
        answers=answers,
        verdict="" if answers else "nothing found",
    )


def _grounding(entry: Json, pictures: Path) -> Example:
    right = entry["iou"] >= _RIGHT
    iou = entry["iou"] if right else min(entry["iou"], _RIGHT - 0.01)  # 0.496 is wrong, and not shown as 0.50
    return Example(
        picture=pictures / f"{entry['image']}.jpg",
        description=f"grounding in image {entry['image']}",
        label="",
        asked=entry["text"],
        verdict=f"{'✓ right' if right else '✗ wrong'}, IoU {iou:.2f}",
        kind=f"verdict {'yes' if right else 'no'}",
    )


def _classification(entry: Json, pictures: Path) -> Example:
    name = str(entry["class"])
    answers = [
        _answer(str(hit["name"]), float(hit["score"]), str(hit["name"]) == name, mark_wrong=False)
        for hit in entry["found"]
    ]
    missed = not any(answer.name == name for answer in answers)
    return Example(
        picture=pictures / f"{entry['image']}.jpg",
        description=f"image {entry['image']}",
        label="it is",
        asked=name,
        answers=answers,
        verdict=f"✗ not among the best {len(answers)}" if missed else "",
        kind="no" if missed else "",
    )


def _answer(name: str, score: float, right: bool, mark_wrong: bool = True) -> Answer:
    if right:
        return Answer(name, score, "✓ ", "yes")
    return Answer(name, score, "✗ ", "no") if mark_wrong else Answer(name, score, "", "")
