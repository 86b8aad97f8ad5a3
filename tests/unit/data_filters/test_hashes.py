"""Keys of captions: what does not change the words does not change the key; XXH3 against its published vectors."""

import pytest

from data_filters.hashes import caption_key, xxh3


def test_hash_is_xxh3_of_128_bits_in_canonical_form():
    # Of the empty input with seed 0: the first of XXH3's own sanity checks, xxhsum's `XXH128` of an empty file.
    assert xxh3(b"").hex() == "99aa06d3014798d86001c324468d497f"


@pytest.mark.parametrize(
    "other",
    [
        "a café in Köln",
        "  A CAFÉ\tin\n köln ",
        "a cafe\u0301 in Ko\u0308ln",
        "ａ café\u00a0in KÖLN",
    ],
)
def test_case_form_and_white_space_do_not_count(other):
    assert caption_key(other) == caption_key("a café in Köln")


def test_casefold_goes_further_than_lower():
    assert caption_key("STRASSE") == caption_key("straße")


@pytest.mark.parametrize("other", ["a cafe in Köln", "a café, in Köln", "acafé in Köln", ""])
def test_other_words_have_another_key(other):
    assert caption_key(other) != caption_key("a café in Köln")
    assert len(caption_key(other)) == 16
