"""Phrases in captions, by hand and against a search with regular expressions."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters.boilerplate import PHRASES, matcher, parse_phrases
from data_filters.errors import InputError


@pytest.mark.parametrize(
    ("caption", "entry"),
    [
        ("Click  to\nENLARGE the picture", "click to enlarge"),
        ("Logo", "= logo"),
        ("[image].", "= image"),
        ("the logo of a brewery", None),
        ("an image of a dog", None),
        ("unclick to enlarged", None),
        ("double-click to enlarge!", "click to enlarge"),
        ("a red umbrella on a chair", None),
        ("", None),
    ],
)
def test_captions_by_hand(caption, entry):
    assert matcher(PHRASES)(caption) == entry


@pytest.mark.parametrize(
    ("caption", "entry"),
    [
        ("Coming soon!", "= coming soon!"),
        ("coming soon", "= coming soon!"),
        ("...", "= ..."),
        ("", None),
        ("-", None),
    ],
)
def test_punctuation_at_the_ends_of_a_whole_entry_does_not_count(caption, entry):
    assert matcher(("= coming soon!", "= ..."))(caption) == entry


WORDS = st.lists(st.sampled_from(["ab", "b", "a", "abc", "-", "a-b", "é"]), min_size=1, max_size=6).map(
    " ".join
)


@given(st.lists(WORDS, min_size=1, max_size=4), WORDS)
def test_entries_are_found_where_their_words_stand(entries, caption):
    def stands(entry: str) -> bool:
        before = r"(?<![^\W_])" if entry[0].isalnum() else ""
        after = r"(?![^\W_])" if entry[-1].isalnum() else ""
        return re.search(before + re.escape(entry) + after, caption) is not None

    found = matcher(entries)(caption)
    expected = {entry for entry in entries if stands(entry)}
    assert found in expected if expected else found is None


def test_a_list_is_read_without_its_comments():
    text = "# ours\n\n  Click me \n= logo\n"
    assert parse_phrases(text, "list.txt") == ("Click me", "= logo")
    assert matcher(parse_phrases(text, "list.txt"))("do CLICK me") == "Click me"
    for bad, message in (("# none\n", "list.txt has no phrase"), ("a\n=\n", "has the entry '='")):
        with pytest.raises(InputError, match=message):
            parse_phrases(bad, "list.txt")
