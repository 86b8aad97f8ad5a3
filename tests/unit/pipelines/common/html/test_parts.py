"""Parts read back with a parser of HTML: texts at their places, whatever they hold."""

from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup

from pipelines.common.html.environment import part
from pipelines.common.html.parts import bar, cards, folded, heading, preformatted, quiet, table

EVIL = """</td></table><script>alert("1")</script> & 'more'"""


class Reader(HTMLParser):
    """Texts with the tags that they lie in, attributes of each tag."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(str(source))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((" ".join(self.open), data))

    def rows(self) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "tr"]

    def cells(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize(
    ("shown", "place"),
    [
        (heading(EVIL), "h3"),
        (heading(EVIL, 4), "h4"),
        (quiet(EVIL), "p"),
        (preformatted(EVIL), "pre"),
        (cards([(EVIL, "", "")]), "div div b"),
        (cards([("", EVIL, "")]), "div div span"),
        (cards([("", "", EVIL)]), "div div small"),
        (folded(EVIL, Markup("<p></p>")), "details summary"),
        (table([EVIL], []), "div table thead tr th"),
        (table(["a"], [[EVIL]]), "div table tbody tr td"),
        (table(["a"], [["b"]], groups=[(EVIL, 1)]), "div table thead tr th"),
    ],
)
def test_texts_are_shown_as_they_are(shown, place):
    assert (place, EVIL) in Reader(shown).texts


def test_attributes_are_escaped():
    reader = Reader(table(["a", "b"], [], hints={1: EVIL}))
    assert [attributes.get("title") for attributes in reader.cells("th")] == [None, EVIL]
    reader = Reader(part("parts.html", "figure", "data:,", EVIL, EVIL, "right"))
    assert ("img", {"alt": EVIL, "src": "data:,"}) in reader.tags
    assert ("figure figcaption", EVIL) in reader.texts


def test_what_is_empty_leaves_no_tag():
    assert quiet("") == ""
    assert cards([]) == ""
    assert folded("more", Markup("")) == ""
    assert "thead" not in table([], [["a"]])
    assert "<figure>" in part("parts.html", "figure", "data:,", "")
    assert "figcaption" not in part("parts.html", "figure", "data:,", "")


def test_a_missing_picture_is_named():
    assert Reader(part("parts.html", "figure", "", "d")).texts == [("figure div", "no picture")]
    assert Reader(part("parts.html", "figure", "", "d", missing="broken")).texts == [("figure div", "broken")]


def test_cells_are_numbers_words_marked_and_totals():
    head = ["name", "count", "remark", "share"]
    rows = [["a", "1", "x", "2"], ["b", "3", "y", "4"]]
    source = table(
        head, rows, words={2}, marked={(0, 3), (1, 0)}, groups=[("", 1), ("all", 3), ("none", 0)], total=True
    )
    reader = Reader(source)
    numbers = [attributes.get("class") == "number" for attributes in reader.cells("td")]
    assert numbers == [False, True, False, True] * 2
    groups, heads = reader.cells("th")[:2], reader.cells("th")[2:]
    assert groups == [{"colspan": "1"}, {"class": "group", "colspan": "3"}]
    assert [attributes.get("class") for attributes in heads] == [None, "number", None, "number"]
    bold = [text for place, text in reader.texts if place.endswith("td b")]
    assert bold == ["2", "b"]
    assert reader.rows() == [{}, {}, {}, {"class": "total"}]


def test_markup_in_a_cell_stays_markup():
    reader = Reader(table([], [["share", bar(1, 4, "good")]], words={1}))
    assert ("div", {"class": "good", "style": "width:25.0%"}) in reader.tags


def test_a_bar_of_nothing_is_empty():
    assert "width:0.0%" in bar(0, 0, "bad")
    assert "width:33.3%" in bar(1, 3, "plain")


@settings(deadline=None)  # the limit is the test's, not a shared machine's
@given(st.lists(st.lists(st.text("a<>&\"'{}%", min_size=1, max_size=6), min_size=3, max_size=3), max_size=4))
def test_any_table_is_read_back(rows):
    texts = [text for place, text in Reader(table([], rows)).texts if place.endswith("td")]
    assert texts == [text for row in rows for text in row]
