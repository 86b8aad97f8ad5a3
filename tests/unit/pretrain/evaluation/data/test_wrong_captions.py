"""Wrong captions of hand-written samples: what is exchanged, what stays, and metadata that nobody has checked."""

from typing import Any

import numpy as np
import pytest

from pretrain.evaluation.data.wrong_captions import (
    EXCHANGES,
    Described,
    Vocabulary,
    attribute,
    name,
    names,
    relation,
    shuffled,
)

CAPTION = "a large red umbrella to the left of a small blue dog"
SCENE: dict[str, Any] = {
    "objects": [
        {"name": "umbrella", "color": "red", "size": "large"},
        {"name": "dog", "color": "blue", "size": "small"},
    ],
    "mentions": [{"object": 1, "start": 36, "end": 52}, {"object": 0, "start": 0, "end": 20}],
    "relations": [{"relation": "to the left of"}],
}
OTHERS = [
    Described("a medium green cat", {"objects": [{"name": "cat", "color": "green", "size": "medium"}]}),
    Described("a cup", {"objects": [{"name": "cup"}]}),
]
SAMPLE = Described(CAPTION, SCENE)
WORDS = Vocabulary.of([SAMPLE, *OTHERS])


def drawn(exchange, sample: Described = SAMPLE) -> set[str | None]:
    return {exchange(sample, WORDS, np.random.default_rng(seed)) for seed in range(60)}


def test_the_vocabulary_is_what_objects_have():
    assert WORDS.values == {
        "name": ("cat", "cup", "dog", "umbrella"),
        "color": ("blue", "green", "red"),
        "size": ("large", "medium", "small"),
    }


def test_an_attribute_of_one_object_becomes_one_that_no_object_has():
    assert drawn(attribute) == {
        "a medium red umbrella to the left of a small blue dog",
        "a large green umbrella to the left of a small blue dog",
        "a large red umbrella to the left of a medium blue dog",
        "a large red umbrella to the left of a small green dog",
    }


def test_one_name_or_all_become_ones_that_no_object_has():
    assert drawn(name) == {
        f"a large red {first} to the left of a small blue {second}"
        for first, second in [("cat", "dog"), ("cup", "dog"), ("umbrella", "cat"), ("umbrella", "cup")]
    }
    assert drawn(names) == {
        f"a large red {first} to the left of a small blue {second}"
        for first in ("cat", "cup")
        for second in ("cat", "cup")
    }


def test_a_relation_becomes_its_opposite():
    assert drawn(relation) == {"a large red umbrella to the right of a small blue dog"}
    unstated = Described(CAPTION, SCENE | {"relations": []})
    assert drawn(relation, unstated) == {None}
    twice = Described("a cat above a dog above a cup", {"relations": [{"relation": "above"}]})
    assert drawn(relation, twice) == {None}


def test_where_no_other_word_is_known_there_is_none():
    alone = Vocabulary.of([SAMPLE])
    assert attribute(SAMPLE, alone, np.random.default_rng(0)) is None
    assert name(SAMPLE, alone, np.random.default_rng(0)) is None


def test_parts_of_words_are_no_mention_of_them():
    scene = {"objects": [{"name": "cat"}], "mentions": [{"object": 0, "start": 0, "end": 14}]}
    assert drawn(name, Described("a caterpillar!", scene)) == {None}


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"objects": None, "mentions": None, "relations": None},
        {"objects": "dog", "mentions": "dog", "relations": "above"},
        {"objects": [3, None, []], "mentions": [3, None, []], "relations": [3, None, []]},
        {"objects": SCENE["objects"], "mentions": [{"object": 5, "start": 0, "end": 20}]},
        {"objects": SCENE["objects"], "mentions": [{"object": -1, "start": 36, "end": 52}]},
        {"objects": SCENE["objects"], "mentions": [{"object": 0, "start": -52, "end": 20}]},
        {"objects": SCENE["objects"], "mentions": [{"object": True, "start": 36, "end": 52}]},
        {"objects": SCENE["objects"], "mentions": [{"object": 0, "start": 20, "end": 0}]},
        {"objects": SCENE["objects"], "mentions": [{"object": 0, "start": 0, "end": 2000}]},
        {"objects": SCENE["objects"], "mentions": [{"object": 0, "start": "0", "end": 2.5}]},
        {"objects": [{"name": ["umbrella"], "color": {}, "size": 3}], "mentions": SCENE["mentions"]},
        {"relations": [{"relation": ["above"]}, {"relation": {}}, {"relation": None}, {}]},
    ],
)
def test_junk_gives_no_caption_and_no_error(metadata):
    sample = Described(CAPTION, metadata)
    Vocabulary.of([sample])
    for exchange in EXCHANGES.values():
        assert exchange(sample, WORDS, np.random.default_rng(0)) is None


def test_values_of_another_type_beside_good_ones_do_no_harm():
    objects = [*SCENE["objects"], {"name": ["a"], "color": {"b": 1}, "size": None}]
    sample = Described(CAPTION, SCENE | {"objects": objects})
    assert drawn(attribute, sample) == drawn(attribute)


@pytest.mark.parametrize(
    "extra",
    [
        {"object": 0, "start": 0, "end": 20},  # the same mention again
        {"object": 0, "start": 12, "end": 20},  # within another
        {"object": 1, "start": 2, "end": 52},  # across both
    ],
)
def test_mentions_that_overlap_are_exchanged_once(extra):
    sample = Described(CAPTION, SCENE | {"mentions": [*SCENE["mentions"], extra]})
    assert drawn(names, sample) == drawn(names)


def test_shuffled_captions_are_those_of_others_with_other_words():
    samples = [Described(text, {}) for text in ["a", "b", "a", "c", "a", "a"]]
    for seed in range(20):
        found = shuffled(samples, np.random.default_rng(seed))
        assert all(caption in {"a", "b", "c"} for caption in found)
        assert all(caption != sample.caption for caption, sample in zip(found, samples, strict=True))
    assert shuffled(samples, np.random.default_rng(1)) == shuffled(samples, np.random.default_rng(1))
    assert shuffled([samples[0], samples[2]], np.random.default_rng(0)) == [None, None]
    many = [Described(str(number), {}) for number in range(50)]
    found = shuffled(many, np.random.default_rng(0))
    assert sorted(found) == sorted(one.caption for one in many)  # each caption once
