from itertools import pairwise

import numpy as np
import pytest
import xxhash

from data_filters.duplicates import word_set, word_sets, words


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A dog, a DOG!", ["a", "dog", "a", "dog"]),
        ("ﬁne Straße №5", ["fine", "strasse", "no5"]),
        ("", []),
        ("  ... !?", []),
        ("snake_case x-ray", ["snake_case", "x", "ray"]),
        ("東京 tower", ["東", "京", "tower"]),
        ("x東京tower—café ２", ["x", "東", "京", "tower", "café", "2"]),
        ("Łódź", ["łódź"]),
    ],
)
def test_words_are_folded_runs_of_letters(caption: str, expected: list[str]) -> None:
    assert words(caption) == expected


def test_a_word_set_holds_each_words_hash_once_and_ascending() -> None:
    expected = sorted(xxhash.xxh3_64_intdigest(word) for word in (b"a", b"dog", b"runs"))
    assert word_set("A dog runs; a dog.").tolist() == expected


def test_punctuation_case_and_order_do_not_change_a_set() -> None:
    assert np.array_equal(word_set("A red car"), word_set("car -- RED, a"))


def test_a_lone_surrogate_of_json_has_a_hash() -> None:
    assert len(word_set("a \ud800b")) >= 1


def test_sets_of_many_captions_stand_one_after_another() -> None:
    captions = ["b a", "", "a dog, a cat", "..."]
    hashes, ends = word_sets(captions)
    assert ends.tolist() == [0, 2, 2, 5, 5]
    assert [hashes[a:b].tolist() for a, b in pairwise(ends)] == [
        word_set(caption).tolist() for caption in captions
    ]


def test_no_captions_have_no_words() -> None:
    hashes, ends = word_sets([])
    assert (hashes.dtype, len(hashes), ends.tolist()) == (np.uint64, 0, [0])
