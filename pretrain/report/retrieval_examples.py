"""Retrieval's examples: captions with the images that they found, images with their captions."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from pipelines.common.html.environment import render
from pretrain.report.sources import Json


def render_retrieval(examples: Json, pictures: Path) -> Markup:
    """Render the queries of both directions (`examples.retrieval_examples` writes them)."""
    directions = {name: examples.get(name, []) for name in ("text_to_image", "image_to_text")}
    if not any(directions.values()):
        return Markup("")
    return render("pretrain.report", "retrieval.html", pictures=pictures, **directions)
