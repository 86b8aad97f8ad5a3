"""Entries in captions against a search for substrings, and coins against integers of Python."""

from __future__ import annotations

import json
import random
import re

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from data_filters.balance import EntryMatcher, coins, entry_hashes, pair_hashes, parse_entries
from data_filters.errors import InputError
from data_filters.mixing import mix_two

ENTRY = st.text("ab .A", min_size=1, max_size=5).filter(str.strip)
CAPTION = st.text("ab .,A\n", max_size=30)


def slow_spaced(text: str) -> str:
    """Spaces as in the released code of MetaCLIP: one mark after the other."""
    text = f" {text} "
    for mark in (",", ".", ";", ":", "?", "!", "`"):
        text = text.replace(mark, f" {mark} ")
    for blank in ("\t", "\n", "\r"):
        text = text.replace(blank, " ")
    return text


@settings(max_examples=300, deadline=None)
@given(st.lists(ENTRY, max_size=8), st.lists(CAPTION, max_size=4))
def test_matches_are_the_substrings_between_spaces(entries: list[str], captions: list[str]) -> None:
    if not entries:
        entries = ["a"]
    match = EntryMatcher(entries)
    for caption in captions:
        text = re.sub(r"\s+", " ", slow_spaced(caption))
        spaced = [re.sub(r"\s+", " ", slow_spaced(entry)) for entry in entries]
        assert match(caption) == [place for place, entry in enumerate(spaced) if entry in text]
        published = [
            place for place, entry in enumerate(entries) if f" {entry.strip()} " in slow_spaced(caption)
        ]
        assert set(published) <= set(match(caption))


def test_matches_by_hand() -> None:
    match = EntryMatcher(["dog", "hot dog", "St. Louis", "Dog", "cat", "!"])
    assert match("A hot dog, St. Louis!") == [0, 1, 2, 5]
    assert match("dogs and hotdog") == []
    assert match("Dog\ncat") == [3, 4]
    assert match("hot\t \n dog") == [0, 1]
    assert match("") == []


def test_ignoring_case() -> None:
    match = EntryMatcher(["dog", "Dog", "STRASSE"], ignore_case=True)
    assert match("DOG in der Straße") == [0, 1, 2]


def test_entries_are_read_from_lines_and_from_json() -> None:
    assert parse_entries("\ufeffdog\r\n\n hot dog \ndog\nünï".encode(), "x.txt") == ["dog", "hot dog", "ünï"]
    assert parse_entries(json.dumps(["dog", "", "a\u2028b"]).encode(), "x.json") == ["dog", "a\u2028b"]


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"\n \n", "x.txt", "entries x.txt holds no entry; give one entry per line"),
        (b"", "x.txt", "entries x.txt holds no entry"),
        (
            b"a\xff",
            "x.txt",
            "entries x.txt: .*; give a UTF-8 text file with one entry per line, or a JSON list",
        ),
        (b"[1]", "x.json", "entries x.json: JSON, but no list of texts; give"),
        (b'{"dog": 1}', "x.json", "entries x.json: JSON, but no list of texts; give"),
        (b"null", "x.json", "entries x.json: JSON, but no list of texts; give"),
        (b'["dog"', "x.json", "entries x.json: .*; give a UTF-8 text file"),
        (b"[" * 100_000, "x.json", "entries x.json"),
        (b'["\\ud800"]', "x.json", "entries x.json"),
    ],
)
def test_unusable_entries_are_refused_in_one_line(data: bytes, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_entries(data, name)
    assert "\n" not in str(caught.value)


def test_coins_are_a_function_of_seed_shard_key_and_entry() -> None:
    entries = ["dog", "hot dog", "cat"]
    keys = [f"{number:05d}" for number in range(4)]
    every = {
        (seed, shard, key, entry): coin
        for seed in (0, 1, 2**64 - 1)
        for shard in ("a.tar", "b/a.tar")
        for key, row in zip(keys, pair_hashes(seed, shard, keys), strict=True)
        for entry, coin in zip(
            entries, coins(np.repeat(row, len(entries)), entry_hashes(entries)).tolist(), strict=True
        )
    }
    assert len(set(every.values())) == len(every)
    assert all(0 <= coin < 1 for coin in every.values())
    # Order and neighbours do not matter.
    assert pair_hashes(0, "a.tar", keys[::-1]).tolist() == pair_hashes(0, "a.tar", keys).tolist()[::-1]
    assert entry_hashes(entries[::-1]).tolist() == entry_hashes(entries).tolist()[::-1]


def test_a_coin_by_hand() -> None:
    shard = xxhash.xxh3_64_intdigest(b"a.tar", seed=7)
    pair = xxhash.xxh3_64_intdigest(b"000", seed=shard)
    assert pair_hashes(7, "a.tar", ["000"]).tolist() == [pair]
    entry = xxhash.xxh3_64_intdigest(b"dog")
    mixed = int(mix_two(np.array([pair], np.uint64), np.array([entry], np.uint64))[0])
    assert coins(pair_hashes(7, "a.tar", ["000"]), entry_hashes(["dog"])).tolist() == [(mixed >> 11) / 2**53]


def test_coins_are_even_and_independent_of_each_other() -> None:
    draw = random.Random(0)
    pairs = pair_hashes(0, "a.tar", [str(draw.random()) for _ in range(20_000)])
    dog, cat = (coins(pairs, np.repeat(entry_hashes([name]), len(pairs))) for name in ("dog", "cat"))
    for values in (dog, cat):
        assert abs(values.mean() - 0.5) < 5 * (1 / 12 / len(pairs)) ** 0.5
    assert abs(np.corrcoef(dog, cat)[0, 1]) < 5 / len(pairs) ** 0.5
