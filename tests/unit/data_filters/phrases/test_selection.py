"""What is chosen from the noun phrases of a caption."""

from spacy.symbols import ADJ, ADP, DET, NOUN, PRON, PUNCT

from data_filters.phrases.options import PhraseOptions
from data_filters.phrases.selection import NounPhrase, Words, choose, trim
from data_filters.phrases.stop_list import load_stop_list

STOP = load_stop_list()


def words(text: str, pos: list[int]) -> Words:
    parts, begin, cursor = text.split(), [], 0
    for part in parts:
        begin.append(text.index(part, cursor))
        cursor = begin[-1] + len(part)
    return Words(parts, pos, begin)


GIRL = "A photo of a girl in a blue coat"
GIRL_WORDS = words(GIRL, [DET, NOUN, ADP, DET, NOUN, ADP, DET, ADJ, NOUN])
GIRL_PHRASES = [NounPhrase(0, 2, 9, 1), NounPhrase(3, 5, 9, 4), NounPhrase(6, 9, 9, 8)]


def chosen(options: PhraseOptions, stop=STOP, text=GIRL, of=GIRL_WORDS, phrases=GIRL_PHRASES) -> list[str]:
    return [text[start:end] for start, end in choose(of, phrases, options, stop)]


def test_maximal_is_the_outermost_with_its_base_parts_and_a_photo_of_is_nothing():
    assert chosen(PhraseOptions()) == ["a girl in a blue coat", "a girl", "a blue coat"]


def test_base_is_the_base_parts_alone():
    assert chosen(PhraseOptions(level="base")) == ["a girl", "a blue coat"]


def test_without_a_stop_list_the_photo_is_a_phrase():
    assert chosen(PhraseOptions(), frozenset()) == [GIRL, "A photo", "a girl", "a blue coat"]


def test_a_phrase_too_long_gives_way_to_those_inside():
    assert chosen(PhraseOptions(max_tokens=6), frozenset()) == [
        "A photo",
        "a girl in a blue coat",
        "a girl",
        "a blue coat",
    ]
    assert chosen(PhraseOptions(max_tokens=2)) == ["a girl"]


def test_the_first_max_phrases_stay():
    assert chosen(PhraseOptions(max_phrases=2)) == ["a girl in a blue coat", "a girl"]
    assert len(chosen(PhraseOptions(max_phrases=None))) == 3


def test_determiners_go_when_asked_and_what_becomes_equal_comes_once():
    assert chosen(PhraseOptions(keep_determiners=False)) == ["girl in a blue coat", "girl", "blue coat"]


def test_pronouns_alone_are_dropped_but_may_head_a_phrase():
    text = "someone in a hat"
    of = words(text, [PRON, ADP, DET, NOUN])
    phrases = [NounPhrase(0, 1, 4, 0), NounPhrase(2, 4, 4, 3)]
    assert chosen(PhraseOptions(), text=text, of=of, phrases=phrases) == ["someone in a hat", "a hat"]
    assert chosen(PhraseOptions(level="base"), text=text, of=of, phrases=phrases) == ["a hat"]


def test_contentless_is_the_whole_base_not_one_word_of_it():
    text = "his photo beside a torn photo and a close-up"
    of = words(text, [PRON, NOUN, ADP, DET, ADJ, NOUN, ADP, DET, NOUN])
    phrases = [NounPhrase(0, 2, 2, 1), NounPhrase(3, 6, 6, 5), NounPhrase(7, 9, 9, 8)]
    assert chosen(PhraseOptions(), text=text, of=of, phrases=phrases) == ["a torn photo"]


def test_trim_leaves_marks_out():
    assert trim([PUNCT, NOUN, PUNCT, PUNCT], 0, 4) == (1, 2)
    assert trim([PUNCT, PUNCT], 0, 2)[0] == trim([PUNCT, PUNCT], 0, 2)[1]
