"""The vocabulary: names that cannot be confused, and colours held out equally often."""

from collections import Counter

import pytest

from pipelines.icon_world.vocabulary import (
    COLORS,
    ICONS,
    NAMES,
    article,
    colors_of,
    first_names,
    held_out_color,
)


def test_no_name_contains_the_words_of_another():
    for name in NAMES:
        for other in NAMES:
            assert name == other or f" {name} " not in f" {other} "
    assert len(set(ICONS.values())) == len(NAMES)


def test_each_name_has_one_held_out_color_and_each_color_its_share():
    counts = Counter(held_out_color().values())
    assert set(held_out_color()) == set(NAMES)
    assert max(counts.values()) - min(counts.values()) <= 1
    for name in NAMES:
        assert colors_of(name, "unseen") == (held_out_color()[name],)
        assert set(colors_of(name, "train")) == set(COLORS) - {held_out_color()[name]}
        assert colors_of(name, "test") == colors_of(name, "train")


def test_a_world_of_more_names_knows_those_of_a_smaller_one():
    for count in range(len(NAMES)):
        smaller, larger = first_names(count), first_names(count + 1)
        assert len(smaller) == count
        assert set(smaller) < set(larger)
    assert first_names(len(NAMES)) == NAMES


@pytest.mark.parametrize(
    ("words", "expected"),
    [("apple", "an"), ("red apple", "a"), ("orange cat", "an"), ("hourglass", "an"), ("umbrella", "an")],
)
def test_articles(words, expected):
    assert article(words) == expected
