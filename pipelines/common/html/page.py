"""The frame of a page: title, headline numbers, links to its sections, the sections."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.common.html.environment import KIT, render


@dataclass(frozen=True)
class Section:
    """A section of a page as its frame sees it: where a link leads, the heading, the content."""

    anchor: str
    heading: str
    content: Markup


def page(title: str, subtitle: str, lead: Markup, sections: Sequence[tuple[str, Markup]]) -> str:
    """Render a whole HTML document that needs no other file; light and dark, from 320 px of width.

    Args:
        title: the title and first heading, a text.
        subtitle: a line below it, a text; left out when empty.
        lead: what stands above the links to the sections.
        sections: (heading, content) in their order; one without content is left out with its heading.
    """
    shown = [(heading, content) for heading, content in sections if content]
    anchors = _anchors([heading for heading, _ in shown])
    framed = [Section(anchor, *section) for anchor, section in zip(anchors, shown, strict=True)]
    document = render(KIT, "page.html", title=title, subtitle=subtitle, lead=lead, sections=framed)
    return f"{document!s}\n"


def _anchors(headings: Sequence[str]) -> list[str]:
    """A name for each heading that no other heading of the page has."""
    anchors: list[str] = []
    for heading in headings:
        name = re.sub(r"\W+", "-", heading.lower()).strip("-") or "section"
        same = sum(re.fullmatch(rf"{re.escape(name)}(-\d+)?", anchor) is not None for anchor in anchors)
        anchors.append(f"{name}-{same + 1}" if same else name)
    return anchors
