import json
import re
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.phrases.page import Marked, nested, phrases_page, write_phrases_page
from pipelines.shards.writer import write_shard


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


def marked(caption: str, spans: list[tuple[int, int]]) -> str:
    """The caption as it stands on the page."""
    (item,) = re.findall("<li[^>]*>(.*?)</li>", phrases_page([caption], [spans]), re.DOTALL)
    return item


def test_nested_phrases():
    assert marked("a cat in a <hat>", [(0, 16), (0, 5), (9, 16)]) == (
        "<mark><mark>a cat</mark> in <mark>a &lt;hat&gt;</mark></mark>"
    )


@settings(deadline=None)  # the limit is the test's, not a shared machine's
@given(st.text("ab<&", max_size=12), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=5))
def test_no_letter_is_lost_and_nested_spans_are_read_back(caption, raw):
    spans = [(a, b) for a, b in raw if a < b <= len(caption)]
    reader = Reader(marked(caption, spans))
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


def test_spans_that_cross_are_cut_where_the_earlier_one_ends():
    tree = nested("abcdef", [(0, 4), (2, 6)])
    assert tree == Marked([Marked(["ab", Marked(["cd"])]), "ef"])


def test_a_hostile_caption_is_text_on_the_page():
    evil = '<script>alert("1")</script> & <mark>more'
    page = phrases_page([evil, evil], [[(0, 8)], []])
    assert "<script" not in page
    assert "&lt;mark&gt;more" in page
    assert page.count("<mark>") == page.count("</mark>") == 1


def test_the_page_of_a_curation_shows_the_phrases_in_its_shards(tmp_path):
    """Two shards of three captions; four shown, two of each."""
    for shard in range(2):
        samples = []
        for number in range(3):
            caption = f"shard {shard} caption {number}"
            record = {"text": caption[:7], "start": 0, "end": 7}
            metadata = {"loupe": {"phrases": [record] if number else []}}
            members = {"jpg": b"-", "txt": caption.encode(), "json": json.dumps(metadata).encode()}
            samples.append((f"{number:06d}", members))
        write_shard(tmp_path / f"{shard:05d}.tar", samples)
        output = {"tar": f"{shard:05d}.tar", "samples": 3, "sha256": "-"}
        (tmp_path / "manifests").mkdir(exist_ok=True)
        (tmp_path / "manifests" / f"{shard}.json").write_text(json.dumps({"outputs": [output]}))
    assert write_phrases_page(str(tmp_path), 4) == f"{tmp_path}/phrases.html"
    page = (tmp_path / "phrases.html").read_text()
    assert "4 captions, 2 phrases, 2 captions without any" in page
    items = re.findall("<li.*?</li>", page)
    assert items == [
        item
        for shard in range(2)
        for item in (
            f'<li class="none">shard {shard} caption 0</li>',
            f"<li><mark>shard {shard}</mark> caption 1</li>",
        )
    ]


def test_nothing_is_written_without_captions(tmp_path):
    assert write_phrases_page(str(tmp_path)) is None
    assert not (tmp_path / "phrases.html").exists()
