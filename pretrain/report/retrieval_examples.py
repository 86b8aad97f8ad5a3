"""Retrieval's examples: captions with the images that they found, images with their captions."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from pipelines.common.html.page import figure


def retrieved(examples: dict[str, Any], pictures: Path) -> str:
    """Queries both ways (`examples.retrieval_examples`)."""
    by_text = "".join(_text_query(entry, pictures) for entry in examples.get("text_to_image", []))
    by_image = "".join(_image_query(entry, pictures) for entry in examples.get("image_to_text", []))
    ways = (("From a caption to images", by_text), ("From an image to captions", by_image))
    return "".join(f"<h4>{heading}</h4>{content}" for heading, content in ways if content)


def _text_query(entry: dict[str, Any], pictures: Path) -> str:
    figures = ""
    hits = [hit["image"] for hit in entry["found"]]
    for place, hit in enumerate(entry["found"], 1):
        right = hit["image"] == entry["image"]
        caption = f"{place}. {'✓ right ' if right else ''}{hit['score']:.2f}"
        figures += _image(pictures, hit["image"], caption, "right" if right else "")
    if entry["image"] not in hits:
        figures += _image(pictures, entry["image"], f"✗ right, not among {len(hits)}", "missed")
    return (
        f'<div class="query"><q>{html.escape(entry["caption"])}</q><div class="found">{figures}</div></div>'
    )


def _image_query(entry: dict[str, Any], pictures: Path) -> str:
    found = "".join(
        f'<li class="{"right" if hit["right"] else ""}">'
        f"{'<b>✓ ' if hit['right'] else ''}{html.escape(hit['caption'])}{'</b>' if hit['right'] else ''} "
        f"<small>{hit['score']:.2f}</small></li>"
        for hit in entry["found"]
    )
    missed = ""
    if not any(hit["right"] for hit in entry["found"]):
        missed = f'<p class="quiet">✗ right, not among them: {html.escape(entry["captions"][0])}</p>'
    asked = _image(pictures, entry["image"], "", "")
    return f'<div class="query asked">{asked}<div><ol>{found}</ol>{missed}</div></div>'


def _image(pictures: Path, place: int, caption: str, kind: str) -> str:
    return figure(pictures / f"{place}.jpg", f"gallery image {place}", html.escape(caption), kind)
