"""The record of a sample: its bytes by hand, its phrases back from JSON, and one clear line for each damage."""

import copy
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters.sample import dump_metadata
from pipelines.shards.record import (
    LOUPE,
    Hashes,
    ImageFacts,
    LoupeRecord,
    Phrase,
    RecordError,
    Source,
    phrases_at,
    read_phrases,
    with_phrases,
)

RECORD = LoupeRecord(
    source=Source("00012.tar", 512),
    image=ImageFacts(41, 31, "jpeg"),
    hashes=Hashes(caption="c0", image="1a"),
    scores={"itm": 0.5, "language": 1.0},
    phrases=(Phrase("a żółw", 0, 6), Phrase("żółw", 2, 6)),
)
TEXT = (
    '{"caption": "a żółw", "loupe": {"source": {"shard": "00012.tar", "offset": 512}, '
    '"image": {"width": 41, "height": 31, "format": "jpeg"}, "scores": {"itm": 0.5, "language": 1.0}, '
    '"phrases": [{"text": "a żółw", "start": 0, "end": 6}, {"text": "żółw", "start": 2, "end": 6}], '
    '"hashes": {"caption": "c0", "image": "1a"}}}'
)


def test_the_bytes_by_hand():
    assert dump_metadata({"caption": "a żółw", LOUPE: RECORD.as_json()}).decode() == TEXT


def test_its_phrases_are_read_back():
    assert read_phrases(json.loads(TEXT)) == RECORD.phrases


texts, numbers = st.text(max_size=5), st.integers(0, 2**40)


@given(st.lists(st.builds(Phrase, texts, numbers, numbers), max_size=3).map(tuple))
def test_all_phrases_survive_json(phrases):
    record = LoupeRecord(RECORD.source, RECORD.image, RECORD.hashes, phrases=phrases)
    assert read_phrases(json.loads(json.dumps({LOUPE: record.as_json()}))) == phrases


@pytest.mark.parametrize("metadata", [None, {}, {"caption": "x"}, {LOUPE: None}])
def test_a_sample_that_was_not_curated_has_no_phrases(metadata):
    assert read_phrases(metadata) == ()


@pytest.mark.parametrize(
    ("phrases", "message"),
    [
        ({"a": 1}, "loupe.phrases holds {'a': 1}; expected a list"),
        (["a dog"], "loupe.phrases holds 'a dog'; expected text, start and end"),
        ([{"text": "x", "start": 0}], "expected text, start and end"),
        ([{"text": 5, "start": 0, "end": 1}], "expected text, start and end"),
        ([{"text": "x", "start": None, "end": 1}], "expected text, start and end"),
    ],
)
def test_damage_is_one_line_that_says_what_is_there(phrases, message):
    metadata = json.loads(TEXT)
    metadata[LOUPE]["phrases"] = phrases
    with pytest.raises(RecordError, match=re.escape(message)):
        read_phrases(metadata)


@pytest.mark.parametrize("key", ["source", "image", "scores", "hashes"])
def test_the_phrases_do_not_depend_on_the_rest(key):
    metadata = json.loads(TEXT)
    metadata[LOUPE][key] = None
    assert read_phrases(metadata) == RECORD.phrases


def test_new_phrases_change_nothing_else():
    metadata = {"z": 1, LOUPE: {"scores": {"itm": 1}, "phrases": [1], "own": "é"}, "a": [2]}
    before = copy.deepcopy(metadata)
    changed = with_phrases(metadata, [Phrase("a", 0, 1)])
    assert metadata == before
    assert json.dumps(changed) == json.dumps(
        {
            "z": 1,
            LOUPE: {"scores": {"itm": 1}, "phrases": [{"text": "a", "start": 0, "end": 1}], "own": "é"},
            "a": [2],
        }
    )
    for metadata in (None, {}, {LOUPE: "odd"}):
        assert with_phrases(metadata, []) == {LOUPE: {"phrases": []}}


def test_phrases_at_spans():
    assert phrases_at("a dog", [(2, 5)]) == (Phrase("dog", 2, 5),)
    assert phrases_at("a dog", [(2, 5)])[0].as_json() == {"text": "dog", "start": 2, "end": 5}
