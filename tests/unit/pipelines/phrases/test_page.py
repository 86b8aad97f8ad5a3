from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.phrases.page import mark, phrases_page


class Reader(HTMLParser):
    """Reads marks back: text and the spans of its marks."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.text, self.open, self.spans = "", [], []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.open.append(len(self.text))

    def handle_endtag(self, tag):
        self.spans.append((self.open.pop(), len(self.text)))

    def handle_data(self, data):
        self.text += data


def test_nested_phrases():
    assert mark("a cat in a <hat>", [(0, 16), (0, 5), (9, 16)]) == (
        "<mark><mark>a cat</mark> in <mark>a &lt;hat&gt;</mark></mark>"
    )


@settings(deadline=None)  # the limit is the test's, not a shared machine's
@given(st.text("ab<&", max_size=12), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=5))
def test_no_letter_is_lost_and_nested_spans_are_read_back(caption, raw):
    spans = [(a, b) for a, b in raw if a < b <= len(caption)]
    reader = Reader(mark(caption, spans))
    assert reader.text == caption
    assert not reader.open
    crossing = any(a < c < b < d for a, b in spans for c, d in spans)
    if not crossing:
        assert set(reader.spans) == set(spans)


def test_the_page_counts_and_shows_what_has_no_phrase():
    page = phrases_page(["a dog", "run"], [[(0, 5)], []], "Look <here>")
    assert "2 captions, 1 phrases, 1 captions without any" in page
    assert '<li class="none">run</li>' in page
    assert "Look &lt;here&gt;" in page
