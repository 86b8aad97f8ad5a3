"""The group `ngrams`: a list of word hashes per caption."""

from __future__ import annotations

import pickle
import unicodedata

import pyarrow as pa
import xxhash
from caption_corpus import HEADER, measured

from data_filters.facts import Facts
from pipelines.curate.scores.group import Group
from pipelines.curate.scores.ngrams import Ngrams


def test_rows_are_the_hashes_of_the_words_of_captions() -> None:
    captions = ["A red car", "", "…", "car, car!"]
    table = measured(captions, Ngrams(), batch=3)
    expected = [["a", "red", "car"], [], [], ["car", "car"]]
    assert table["word_hashes"].to_pylist() == [
        [xxhash.xxh3_64_intdigest(word.encode()) for word in words] for words in expected
    ]


def test_a_batch_has_the_schema_of_the_group() -> None:
    group: Group = pickle.loads(pickle.dumps(Ngrams()))
    for facts in ([], [Facts(HEADER, "")], [Facts(HEADER, "a " * 200_000)]):
        batch = group.measure(facts)
        assert batch.schema.equals(group.schema())
        assert batch.num_rows == len(facts)
    assert batch.schema.field("word_hashes").type == pa.list_(pa.uint64())
    assert group.settings() == {"unicode": unicodedata.unidata_version}
