"""Alignment's examples: an image's regions against the phrases of its caption, and maps of where texts are seen."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from pipelines.common.html.page import figure, folded

MAPS = {
    "attribution": "where each phrase is seen: Shapley values of the cells",
    "token-interaction": "token interactions of each region",
    "best-word": "the word that each patch is most similar to",
    "word-patch": "similarity of each word with the patches",
}
"""What stands over the maps of a kind; a kind that is not here goes by its name."""


def aligned(examples: dict[str, Any], pictures: Path) -> str:
    """Each image with its numbered regions, the matrix of regions and phrases, and its maps by kind.

    Entries may lack any part: what is absent is left out.
    """
    return "".join(_entry(entry, pictures) for entry in examples.get("alignment", []))


def _entry(entry: dict[str, Any], pictures: Path) -> str:
    parts = []
    caption = entry.get("caption")
    if caption:
        parts.append(f"<q>{html.escape(str(caption))}</q>")
    scene = ""
    if entry.get("picture"):
        scene = figure(
            _picture(entry["picture"], pictures), f"numbered regions in image {entry.get('image')}", ""
        )
    matrix = _matrix(entry, "matrix")
    interactions = _matrix(entry, "semantic_interactions", "{:+.3f}")
    if scene or matrix:
        folds = folded("semantic Shapley interactions of the same pairs", interactions)
        parts.append(f'<div class="aligned"><div class="scene">{scene}</div><div>{matrix}{folds}</div></div>')
    by_kind: dict[str, list[str]] = {}
    for one in entry.get("maps") or []:
        text, kind = str(one.get("text", "")), str(one.get("kind", "map"))
        shown = figure(_picture(one.get("picture", ""), pictures), f"{kind} of {text}", html.escape(text))
        by_kind.setdefault(kind, []).append(shown)
    for kind, figures in by_kind.items():
        parts.append(
            f'<h4>{html.escape(MAPS.get(kind, kind))}</h4><div class="maps">{"".join(figures)}</div>'
        )
    return f'<div class="query">{"".join(parts)}</div>' if parts else ""


def _matrix(entry: dict[str, Any], name: str, form: str = "{:.2f}") -> str:
    """Regions as rows, phrases as columns, darker where they go together; each row's greatest value stands out."""
    rows, phrases = entry.get(name) or [], entry.get("phrases") or []
    if not rows or not phrases:
        return ""
    regions = entry.get("regions") or []
    most = max(1.0 if name == "matrix" else 0.0, *(abs(value) for values in rows for value in values)) or 1.0
    head = "".join(f"<th>{html.escape(str(phrase))}</th>" for phrase in phrases)
    body = ""
    for number, values in enumerate(rows, 1):
        sure = regions[number - 1].get("confidence") if number <= len(regions) else None
        remark = f" <small>{float(sure):.2f}</small>" if sure is not None else ""
        cells = "".join(
            f'<td style="--part:{max(value, 0) / most:.3f}">'
            f"{f'<b>{form.format(value)}</b>' if value == max(values) else form.format(value)}</td>"
            for value in values
        )
        body += f"<tr><th>{number}{remark}</th>{cells}</tr>"
    return (
        f'<div class="scroll"><table class="heat"><thead><tr><th>region <small>sure</small></th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _picture(name: str, pictures: Path) -> Path:
    """`examples/PLACE.jpg` as it lies in the folder of pictures, and nowhere else."""
    return pictures / Path(str(name)).name
