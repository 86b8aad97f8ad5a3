"""The frame: every link leads to its section, and nothing is fetched or run."""

from html.parser import HTMLParser

from markupsafe import Markup

from pipelines.common.html.page import page

VOID = {"meta"}


class Reader(HTMLParser):
    """Checks that tags nest; collects tags, links, anchors and texts."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(str(source))
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.links += [values["href"]] if "href" in values else []
        self.anchors += [values["id"]] if "id" in values else []
        assert "src" not in values
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self.open[-1], data))


def test_a_page_is_whole_and_needs_nothing():
    source = page("A <title>", "and & so on", Markup("<p>lead</p>"), [("One", Markup("<p>1</p>"))])
    assert source.startswith("<!doctype html>\n")
    reader = Reader(source)
    assert not {"script", "link", "iframe"} & set(reader.tags)
    assert "url(" not in source
    assert "@import" not in source
    assert "prefers-color-scheme: dark" in source
    assert reader.texts[-5:] == [
        ("h1", "A <title>"),
        ("p", "and & so on"),
        ("p", "lead"),
        ("h2", "One"),
        ("p", "1"),
    ]
    assert reader.links == []  # one section needs no links


def test_every_section_has_a_link_and_an_empty_one_has_none():
    shown = Markup("<p>x</p>")
    headings = ["What it finds: <a>", "Empty", "what it finds a", "→", "←"]
    sections = [(heading, Markup("") if heading == "Empty" else shown) for heading in headings]
    reader = Reader(page("t", "", Markup(""), sections))
    assert reader.links == [f"#{anchor}" for anchor in reader.anchors]
    assert len(set(reader.anchors)) == len(reader.anchors) == 4
    assert [text for tag, text in reader.texts if tag == "a"] == [h for h in headings if h != "Empty"]
    assert [text for tag, text in reader.texts if tag == "h2"] == [h for h in headings if h != "Empty"]


def test_an_empty_subtitle_leaves_no_paragraph():
    assert "p" not in Reader(page("t", "", Markup(""), [])).tags


def test_the_document_is_a_plain_text():
    assert type(page("t", "", Markup(""), [])) is str
