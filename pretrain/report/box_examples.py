"""Examples of one picture each: detections and groundings, which are drawn on theirs, and classes."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipelines.common.html.page import figure

_RIGHT = 0.5  # IoU


def detected(examples: dict[str, Any], pictures: Path) -> str:
    """Each picture with what is there, and the best detections with their scores."""
    return _gallery(_detection(entry, pictures) for entry in examples.get("detection", []))


def grounded(examples: dict[str, Any], pictures: Path) -> str:
    """Each picture with what was referred to, and how well the box met it."""
    return _gallery(_grounding(entry, pictures) for entry in examples.get("grounding", []))


def classified(examples: dict[str, Any], pictures: Path) -> str:
    """Each picture with its class, and the nearest classes with their cosines."""
    return _gallery(_classification(entry, pictures) for entry in examples.get("classification", []))


def _gallery(figures: Iterable[str]) -> str:
    inner = "".join(figures)
    return f'<div class="drawn">{inner}</div>' if inner else ""


def _detection(entry: dict[str, Any], pictures: Path) -> str:
    there = ", ".join(str(one["name"]) for one in entry.get("objects", [])) or "nothing"
    found = _answers([(str(one["name"]), float(one["score"]), bool(one["right"])) for one in entry["found"]])
    caption = f"<p>there: <b>{html.escape(there)}</b></p>{found or '<p>nothing found</p>'}"
    return figure(_picture(entry, pictures), f"detections in image {entry['image']}", caption)


def _grounding(entry: dict[str, Any], pictures: Path) -> str:
    right = entry["iou"] >= _RIGHT
    verdict = "✓ right" if right else "✗ wrong"
    told = entry["iou"] if right else min(entry["iou"], _RIGHT - 0.01)  # 0.496 is wrong, and not 0.50
    caption = (
        f"<p><q>{html.escape(entry['text'])}</q></p>"
        f'<p class="verdict {"yes" if right else "no"}">{verdict}, IoU {told:.2f}</p>'
    )
    return figure(_picture(entry, pictures), f"grounding in image {entry['image']}", caption)


def _classification(entry: dict[str, Any], pictures: Path) -> str:
    own = str(entry["class"])
    found = [(str(one["name"]), float(one["score"])) for one in entry["found"]]
    missed = (
        "" if own in [name for name, _ in found] else f'<p class="no">✗ not among the best {len(found)}</p>'
    )
    answers = _answers([(name, score, name == own) for name, score in found], mark_wrong=False)
    caption = f"<p>it is: <b>{html.escape(own)}</b></p>{answers}{missed}"
    return figure(_picture(entry, pictures), f"image {entry['image']}", caption)


def _answers(answers: list[tuple[str, float, bool]], mark_wrong: bool = True) -> str:
    """(name, score, whether it is right) each, best first."""
    lines = ""
    for name, score, right in answers:
        kind = "yes" if right else "no" if mark_wrong else ""
        sign = "✓ " if right else "✗ " if mark_wrong else ""
        lines += f'<li class="{kind}"><span>{sign}{html.escape(name)}</span><span>{score:.2f}</span></li>'
    return f"<ul>{lines}</ul>" if lines else ""


def _picture(entry: dict[str, Any], pictures: Path) -> Path:
    return pictures / f"{entry['image']}.jpg"
