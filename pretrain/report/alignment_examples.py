"""Alignment's examples: an image's regions against the phrases of its caption, and maps of where texts are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from pipelines.common.html.environment import render
from pretrain.report.sources import Json

MAPS = {
    "attribution": "where each phrase is seen: Shapley values of the cells",
    "best-word": "the word that each patch is most similar to",
    "word-patch": "similarity of each word with the patches",
}
"""Headings of maps by kind; default: the kind."""


@dataclass(frozen=True)
class Cell:
    """A value as text, its shade from 0 to 1, and whether it is the greatest of its row."""

    text: str
    shade: float
    greatest: bool


@dataclass(frozen=True)
class Row:
    """A region by its number and its confidence (empty when unknown), with a cell per phrase."""

    number: int
    confidence: str
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Map:
    """A picture of where a text is seen."""

    text: str
    description: str
    picture: Path


@dataclass(frozen=True)
class Example:
    """What is shown of an image. Parts that its entry lacks are empty."""

    caption: str
    description: str
    picture: Path | None
    phrases: Sequence[str]
    matrix: Sequence[Row]
    interactions: Sequence[Row]
    maps: dict[str, list[Map]] = field(default_factory=dict)

    def is_empty(self) -> bool:
        return not (self.caption or self.picture or self.matrix or self.maps)


def render_alignment(examples: Json, pictures: Path) -> Markup:
    """Render each image with its numbered regions, the matrix of regions and phrases, and its maps by kind.

    Entries may lack any part: what is absent is left out.
    """
    entries = [_example(entry, pictures) for entry in examples.get("alignment", [])]
    shown = [example for example in entries if not example.is_empty()]
    return render("pretrain.report", "alignment.html", examples=shown) if shown else Markup("")


def _example(entry: Json, pictures: Path) -> Example:
    maps: dict[str, list[Map]] = {}
    for item in entry.get("maps") or []:
        text, kind = str(item.get("text", "")), str(item.get("kind", "map"))
        picture = Map(text, f"{kind} of {text}", _picture(item.get("picture", ""), pictures))
        maps.setdefault(MAPS.get(kind, kind), []).append(picture)
    return Example(
        caption=str(entry.get("caption") or ""),
        description=f"numbered regions in image {entry.get('image')}",
        picture=_picture(entry["picture"], pictures) if entry.get("picture") else None,
        phrases=[str(phrase) for phrase in entry.get("phrases") or []],
        matrix=_rows(entry, "matrix", "{:.2f}", at_least=1.0),
        interactions=_rows(entry, "semantic_interactions", "{:+.3f}", at_least=0.0),
        maps=maps,
    )


def _rows(entry: Json, name: str, form: str, *, at_least: float) -> list[Row]:
    """Regions as rows, phrases as columns, each cell the darker the greater its value.

    The darkest shade stands for the greatest absolute value, or for `at_least` where that is more.
    """
    rows, regions = entry.get(name) or [], entry.get("regions") or []
    if not rows or not entry.get("phrases"):
        return []
    most = max(at_least, *(abs(value) for values in rows for value in values)) or 1.0
    confidences = [region.get("confidence") for region in regions] + [None] * len(rows)
    return [
        Row(
            number,
            "" if confidence is None else f"{float(confidence):.2f}",
            [Cell(form.format(value), max(value, 0) / most, value == max(values)) for value in values],
        )
        for number, (values, confidence) in enumerate(zip(rows, confidences, strict=False), 1)
    ]


def _picture(name: str, pictures: Path) -> Path:
    """`examples/PLACE.jpg` as it lies in the folder of pictures, and nowhere else."""
    return pictures / Path(str(name)).name
