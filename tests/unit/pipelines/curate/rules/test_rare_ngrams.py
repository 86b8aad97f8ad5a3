"""The rule `rare_ngrams` against a count of n-grams as texts."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import xxhash
from caption_corpus import drawn_captions, measured
from pydantic import ValidationError
from small_corpus import SmallCorpus

from pipelines.curate.corpus import ngrams
from pipelines.curate.rules.rare_ngrams import RareNgrams
from pipelines.curate.scores.ngrams import Ngrams

ALL = 2**64 - 1


def mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & ALL
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & ALL
    return value ^ (value >> 31)


def gram_hash(gram: tuple[str, ...]) -> int:
    hashes = [xxhash.xxh3_64_intdigest(word.encode()) for word in gram]
    return (
        hashes[0] if len(gram) == 1 else mix((hashes[0] + mix((hashes[1] + 0x9E3779B97F4A7C15) & ALL)) & ALL)
    )


def grams_of(caption: str) -> list[tuple[str, ...]]:
    words = caption.replace(",", " ").split()
    return [(word,) for word in words] + list(pairwise(words))


def referee(
    captions: dict[str, list[str]], earlier: dict[str, list[str]], kept: int
) -> dict[int, tuple[int, float]]:
    counts = Counter(
        gram
        for shards in (captions, earlier)
        for shard in shards.values()
        for text in shard
        for gram in grams_of(text)
    )
    ranked = sorted(counts, key=lambda gram: (-counts[gram], gram_hash(gram)))
    frequent = set(ranked[:kept])
    drops = {}
    for shard, name in enumerate(sorted(captions)):
        for row, text in enumerate(captions[name]):
            rare = sum(gram not in frequent for gram in grams_of(text))
            if rare:
                drops[shard * 2**32 + row] = (-1, float(rare))
    return drops


def corpus_of(captions: dict[str, list[str]], earlier: dict[str, list[str]], **how: Any) -> SmallCorpus:
    tables = (
        {name: measured(texts, Ngrams()) for name, texts in shards.items()} for shards in (captions, earlier)
    )
    return SmallCorpus(*tables, **how)


@pytest.mark.parametrize("kept", [1, 7, 40, 150, 10_000])
@pytest.mark.parametrize("number", range(4))
def test_drops_what_the_referee_drops(number: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    captions, earlier = drawn_captions(number, 6, 40), drawn_captions(number, 3, 60, earlier=True)
    if number % 2:
        earlier = {}
    expected = referee(captions, earlier, kept)
    for how in ({}, {"partitions": 5, "seed": 1}, {"partitions": 60, "seed": 2}):
        corpus = corpus_of(captions, earlier, **how)
        monkeypatch.setattr(ngrams, "GRAMS_AT_ONCE", 40 if how else 1 << 22)
        RareNgrams(kind="rare_ngrams", most_frequent=kept).decide(corpus.as_corpus())
        assert corpus.drops == expected
    assert bool(expected) == (kept < 10_000)


def test_an_empty_corpus_loses_nothing() -> None:
    for captions in ({"a": []}, {"a": [], "b": ["", "..."]}):
        corpus = corpus_of(captions, {}, partitions=2, seed=0)
        RareNgrams(kind="rare_ngrams", most_frequent=3).decide(corpus)
        assert corpus.drops == {}


def test_every_occurrence_counts() -> None:
    # `a` comes four times in one caption, `b` in three captions: the most frequent word is `a`.
    corpus = corpus_of({"s": ["a x a y a z a", "b", "b", "b", "a"]}, {})
    RareNgrams(kind="rare_ngrams", most_frequent=1).decide(corpus)
    assert set(corpus.drops) == {0, 1, 2, 3}


def test_a_number_below_one_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        RareNgrams(kind="rare_ngrams", most_frequent=0)
    assert RareNgrams(kind="rare_ngrams").words() == (
        "keeps: words and pairs of words among the 100,000,000 most frequent"
    )
