"""The rule `balance` against algorithm 1 of MetaCLIP, and the numbers kept against binomial bounds."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xxhash
from caption_corpus import drawn_captions, measured
from pydantic import ValidationError
from small_corpus import SmallCorpus

from data_filters.errors import InputError
from pipelines.common.explain import explain
from pipelines.curate.rules.balance import Balance

ALL = 2**64 - 1
Captions = dict[str, list[str]]


def mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & ALL
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & ALL
    return value ^ (value >> 31)


def mix_two(first: int, second: int) -> int:
    return mix((first + mix((second + 0x9E3779B97F4A7C15) & ALL)) & ALL)


def text_hash(text: str) -> int:
    return xxhash.xxh3_64_intdigest(text.encode())


def gram_hash(gram: str) -> int:
    hashes = [text_hash(word) for word in gram.split()]
    return hashes[0] if len(hashes) == 1 else mix_two(*hashes)


def coin(seed: int, shard: str, key: str, entry: int) -> float:
    of_shard = xxhash.xxh3_64_intdigest(shard.encode(), seed=seed)
    return (mix_two(xxhash.xxh3_64_intdigest(key.encode(), seed=of_shard), entry) >> 11) / 2**53


def listed(caption: str, entries: list[str]) -> list[str]:
    return [entry for entry in entries if f" {entry} " in f" {caption.replace(',', ' ,')} "]


def grams_of(caption: str) -> set[str]:
    words = caption.replace(",", " ").split()
    return set(words) | {" ".join(pair) for pair in pairwise(words)}


def algorithm_1(
    found: dict[str, list[list[str]]], new: Captions, t: int, seed: int, hash_of: Any
) -> dict[int, Any]:
    """Drops by rank, from the entries of each caption of every shard."""
    counts = Counter(entry for shard in found.values() for entries in shard for entry in entries)
    drops = {}
    for number, shard in enumerate(sorted(new)):
        for row, entries in enumerate(found[shard]):
            if not any(
                coin(seed, shard, f"{row:06d}", hash_of(entry)) < min(1, t / counts[entry])
                for entry in entries
            ):
                drops[number * 2**32 + row] = (
                    -1,
                    float(min((counts[entry] for entry in entries), default=0)),
                )
    return drops


def corpus_of(rule: Balance, new: Captions, earlier: Captions, **how: Any) -> SmallCorpus:
    (group,) = rule.groups()
    tables = ({name: measured(texts, group) for name, texts in shards.items()} for shards in (new, earlier))
    return SmallCorpus(*tables, **how)


def entries_file(folder: Path, entries: list[str]) -> str:
    (folder / "entries.txt").write_text("\n".join(entries))
    return str(folder / "entries.txt")


@pytest.mark.parametrize("t", [1, 5, 1000])
@pytest.mark.parametrize("number", range(3))
def test_a_list_is_balanced_as_algorithm_1_does(tmp_path: Path, number: int, t: int) -> None:
    entries = [f"word{index}" for index in range(0, 30, 2)] + ["word2 , word4", "word0 , word0", "absent"]
    new, earlier = drawn_captions(number, 5, 30), drawn_captions(number, 2, 30, earlier=True)
    rule = Balance(kind="balance", entries=entries_file(tmp_path, entries), t=t, seed=number)
    rule.check()
    found = {name: [listed(text, entries) for text in texts] for name, texts in (new | earlier).items()}
    expected = algorithm_1(found, new, t, number, text_hash)
    for how in ({}, {"seed": 1}, {"seed": 2}):
        corpus = corpus_of(rule, new, earlier, **how)
        rule.decide(corpus.as_corpus())
        assert corpus.drops == expected
    assert expected


@pytest.mark.parametrize("t", [1, 5])
@pytest.mark.parametrize("number", range(3))
def test_own_ngrams_are_balanced_as_algorithm_1_does(number: int, t: int) -> None:
    new, earlier = drawn_captions(number, 5, 30), drawn_captions(number, 2, 30, earlier=True)
    grams = {name: [grams_of(text) for text in texts] for name, texts in (new | earlier).items()}
    counts = Counter(gram for shard in grams.values() for found in shard for gram in found)
    entries = sorted(counts, key=lambda gram: (-counts[gram], gram_hash(gram)))[:25]
    found = {name: [sorted(one & set(entries)) for one in shard] for name, shard in grams.items()}
    expected = algorithm_1(found, new, t, number, gram_hash)
    rule = Balance(kind="balance", entries=25, t=t, seed=number)
    for how in ({}, {"seed": 1, "partitions": 4}, {"seed": 2, "partitions": 90}):
        corpus = corpus_of(rule, new, earlier, **how)
        rule.decide(corpus.as_corpus())
        assert corpus.drops == expected
    assert expected


def test_the_number_kept_of_every_entry_is_within_binomial_bounds() -> None:
    counts = {"a": 20_000, "b": 5_000, "c": 1_200, "d": 600, "e": 30}
    t = 600
    captions = (
        [name for name, number in counts.items() for _ in range(number)] + ["a b"] * 4_000 + ["none of them"]
    )
    total = {name: number + 4_000 * (name in "ab") for name, number in counts.items()}
    chance = {name: min(1, t / number) for name, number in total.items()}
    chance["a b"] = 1 - (1 - chance["a"]) * (1 - chance["b"])
    sizes = counts | {"a b": 4_000}
    column = pa.array(
        [[("abcde").index(word) for word in text.split() if word in total] for text in captions]
    )
    table = pa.table(
        {"entries": column.cast(pa.list_(pa.int32())), "key": [f"{n:09d}" for n in range(len(captions))]}
    )
    for seed in range(3):
        kept = Counter(captions) - Counter(captions[rank] for rank in dropped_by_list(table, t, seed))
        assert kept["none of them"] == 0
        for name, size in sizes.items():
            deviation = (size * chance[name] * (1 - chance[name])) ** 0.5
            assert abs(kept[name] - size * chance[name]) <= 4.5 * deviation, name


def dropped_by_list(table: pa.Table, t: int, seed: int) -> set[int]:
    from data_filters.balance import entry_hashes
    from pipelines.curate.corpus.balance import balance_over_list

    corpus = SmallCorpus({"s": table})
    balance_over_list(corpus, entry_hashes(list("abcde")), t, seed)
    return set(corpus.drops)


def test_an_empty_corpus_loses_nothing_and_captions_without_words_go(tmp_path: Path) -> None:
    for entries in (entries_file(tmp_path, ["dog"]), 10):
        rule = Balance(kind="balance", entries=entries)
        for shard, drops in (({"a": [], "b": []}, {}), ({"a": ["", "..."]}, {0: (-1, 0.0), 1: (-1, 0.0)})):
            corpus = corpus_of(rule, shard, {}, partitions=2, seed=0)
            rule.decide(corpus)
            assert corpus.drops == drops


def test_unusable_options_are_refused(tmp_path: Path) -> None:
    for options, message in (
        *(
            ({"entries": value}, "entries is .*; allowed are a file of entries, or a whole number from 1")
            for value in (0, -3, True, 2.5, "", None)
        ),
        (
            {"entries": 5, "ignore_case": True},
            "ignore_case is true, entries 5; the corpus's own n-grams have no case",
        ),
        ({"entries": 5, "t": 0}, "greater than or equal to 1"),
        ({"entries": 5, "seed": -1}, "greater than or equal to 0"),
    ):
        with pytest.raises(ValidationError) as caught:
            Balance(kind="balance", **options)
        line = explain(Balance, caught.value, "recipe")
        assert re.search(message, line)
        assert "\n" not in line
    with pytest.raises(InputError, match=r"absent\.txt cannot be read: .*; give a file"):
        Balance(kind="balance", entries=str(tmp_path / "absent.txt")).check()
    with pytest.raises(InputError, match="holds no entry"):
        Balance(kind="balance", entries=entries_file(tmp_path, [])).check()


def test_the_file_of_entries_is_recorded_and_may_not_change_before_the_decision(tmp_path: Path) -> None:
    path = entries_file(tmp_path, ["word0", "word2", "word2"])
    rule = Balance(kind="balance", entries=path, t=1)
    rule.check()
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    assert rule.sources() == [{"path": path, "sha256": digest, "entries": 2}]
    corpus = corpus_of(rule, {"0": ["word0 word2"]}, {})
    entries_file(tmp_path, ["word2", "word0"])  # the stored places would mean others
    with pytest.raises(InputError, match="has changed since the run was planned"):
        rule.decide(corpus.as_corpus())
    assert Balance(kind="balance", entries=10, t=1).sources() == []


def test_words() -> None:
    assert (
        Balance(kind="balance", entries=500_000).words()
        == "keeps: about 20,000 pairs of each entry of 500,000 n-grams"
    )
