"""The record of a sample: its bytes by hand, back from JSON, and one clear line for each damage."""

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
    read_record,
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


def test_it_is_read_back():
    assert read_record(json.loads(TEXT)) == RECORD
    assert read_phrases(json.loads(TEXT)) == RECORD.phrases


texts, numbers = st.text(max_size=5), st.integers(0, 2**40)


@given(
    st.builds(
        LoupeRecord,
        source=st.builds(Source, texts, numbers),
        image=st.builds(ImageFacts, numbers, numbers, texts),
        hashes=st.builds(Hashes, texts, texts),
        scores=st.dictionaries(texts, st.floats(allow_nan=False, allow_infinity=False), max_size=3),
        phrases=st.lists(st.builds(Phrase, texts, numbers, numbers), max_size=3).map(tuple),
    )
)
def test_every_record_survives_json(record):
    assert read_record(json.loads(json.dumps({LOUPE: record.as_json()}))) == record


@pytest.mark.parametrize("metadata", [None, {}, {"caption": "x"}, {LOUPE: None}])
def test_a_sample_that_was_not_curated_has_no_record(metadata):
    assert read_record(metadata) is None
    assert read_phrases(metadata) == ()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((), "odd", "loupe holds 'odd'; expected an object"),
        (("source",), None, "loupe.source holds None; expected an object"),
        (("source", "offset"), "5", "loupe.source.offset holds '5'; expected int"),
        (("image", "width"), True, "loupe.image.width holds True; expected int"),
        (("image", "format"), 3, "loupe.image.format holds 3; expected str"),
        (("hashes", "image"), None, "loupe.hashes.image holds None; expected str"),
        (("scores", "itm"), "high", "loupe.scores.itm holds 'high'; expected float"),
        (("phrases",), {"a": 1}, "loupe.phrases holds {'a': 1}; expected a list"),
        (("phrases",), ["a dog"], "loupe.phrases holds 'a dog'; expected text, start and end"),
        (("phrases",), [{"text": "x", "start": 0}], "expected text, start and end"),
        (("phrases",), [{"text": 5, "start": 0, "end": 1}], "expected text, start and end"),
        (("phrases",), [{"text": "x", "start": None, "end": 1}], "expected text, start and end"),
    ],
)
def test_damage_is_one_line_that_names_the_key(path, value, message):
    metadata = json.loads(TEXT)
    place = metadata
    for key in (LOUPE, *path)[:-1]:
        place = place[key]
    place[(LOUPE, *path)[-1]] = value
    with pytest.raises(RecordError, match=re.escape(message)):
        read_record(metadata)
    if path == ("phrases",):
        with pytest.raises(RecordError, match=re.escape(message)):
            read_phrases(metadata)
    elif path:
        assert read_phrases(metadata) == RECORD.phrases  # the phrases do not depend on the rest


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
