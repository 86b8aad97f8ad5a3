import numpy as np
import pytest
from PIL import Image

from data_filters.sample import BrokenSample
from pretrain.evaluation.data.phrase_objects import content_words, read_phrases
from pretrain.evaluation.data.samples import Picture

CAPTION = "a red cup on a blue tray, with a dog"
MENTIONS = [
    {"object": 1, "start": 2, "end": 9},  # red cup
    {"object": 0, "start": 15, "end": 24},  # blue tray
]
OBJECTS = [{"name": "tray", "box": [0, 0, 10, 4]}, {"name": "cup", "box": [2, 1, 3, 3]}]


def sample(**metadata):
    return Picture("k", Image.new("RGB", (40, 20)), (CAPTION, "another"), metadata)


def spans(*texts):
    return [
        {"text": text, "start": CAPTION.index(text), "end": CAPTION.index(text) + len(text)} for text in texts
    ]


def test_curated_phrases_come_first_and_name_what_they_hold():
    phrases = spans(
        "a red cup on a blue tray", "a red cup", "cup", "a blue tray, with a dog", "a dog", "cup on"
    )
    found = read_phrases(sample(loupe={"phrases": phrases}, mentions=MENTIONS, objects=OBJECTS), 12)
    assert found.source == "phrases"
    assert [(one.text, one.objects) for one in found.phrases] == [
        ("a red cup on a blue tray", ()),  # two objects: neither
        ("a red cup", (1,)),
        ("cup", (1,)),
        ("a blue tray, with a dog", (0,)),
        ("a dog", ()),
        ("cup on", ()),  # half in, half out
    ]
    assert found.names_objects
    assert found.caption == CAPTION
    np.testing.assert_array_equal(found.boxes, [[0, 0, 10, 4], [2, 1, 3, 3]])


def test_mentions_stand_in_for_phrases():
    found = read_phrases(sample(mentions=MENTIONS, objects=OBJECTS, width=80, height=20), 12)
    assert (found.source, [one.text for one in found.phrases]) == ("mentions", ["red cup", "blue tray"])
    assert [one.objects for one in found.phrases] == [(1,), (0,)]
    # The boxes were given for an image twice as wide.
    np.testing.assert_array_equal(found.boxes, [[0, 0, 5, 4], [1, 1, 1.5, 3]])


def test_words_stand_in_for_both_and_name_coco_categories():
    boxes = [
        {"category": "cup", "bbox": [1, 2, 3, 4]},
        {"category": "dog", "bbox": [5, 6, 7, 8]},
        {"category": "cup", "bbox": [0, 0, 1, 1]},
        {"category": "hot dog", "bbox": [0, 0, 2, 2]},
    ]
    found = read_phrases(sample(boxes=boxes), 12)
    assert found.source == "words"
    assert [(one.text, one.objects) for one in found.phrases] == [
        ("red", ()),
        ("cup", (0, 2)),
        ("blue", ()),
        ("tray", ()),
        ("dog", (1,)),
    ]
    assert [one.text for one in read_phrases(sample(), 3).phrases] == ["red", "cup", "blue"]
    assert not read_phrases(sample(), 3).names_objects


def test_content_words_are_told_once():
    caption = "The dog, a Dog's bowl and the well-known DOG by a window"
    assert [caption[slice(*span)] for span in content_words(caption, 9)] == [
        "dog",
        "Dog's",
        "bowl",
        "well-known",
        "window",
    ]
    assert len(content_words(caption, 2)) == 2
    assert content_words("of the", 5) == []


def test_phrases_of_another_caption_are_refused():
    with pytest.raises(ValueError, match="is not at characters"):
        read_phrases(sample(loupe={"phrases": [{"text": "a cat", "start": 0, "end": 5}]}), 12)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"mentions": [{"start": 2, "end": 9}]}, "broken_mentions"),
        ({"mentions": [{"object": "1", "start": 2, "end": 9}]}, "broken_mentions"),
        ({"mentions": [{"object": 2, "start": 2, "end": 9}]}, "broken_mentions"),
        ({"mentions": [{"object": 1, "start": 2, "end": 900}]}, "broken_mentions"),
        ({"mentions": "red cup"}, "broken_mentions"),
        ({"loupe": {"phrases": [{"text": "cat", "start": 2, "end": 5}]}}, "broken_phrases"),
        ({"width": "40"}, "broken_size"),
    ],
)
def test_what_does_not_fit_the_caption_is_named(metadata, reason):
    with pytest.raises(BrokenSample) as raised:
        read_phrases(sample(objects=OBJECTS, **metadata), 12)
    assert raised.value.reason == reason


def test_a_mention_of_an_object_without_a_box_names_nothing():
    objects = [{"name": "tray", "box": None}, OBJECTS[1]]
    found = read_phrases(sample(mentions=MENTIONS, objects=objects), 12)
    assert [one.objects for one in found.phrases] == [(0,), ()]
    assert found.unusable == {"no_box": 1}
    np.testing.assert_array_equal(found.boxes, [[2, 1, 3, 3]])
