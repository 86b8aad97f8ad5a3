"""Filters of the caption."""

from __future__ import annotations

import string
import unicodedata

from data_filters.filter import Facts, Filter, Limit

# Control and format characters (zero-width, direction marks, soft hyphens), surrogates, private use, white space, and
# marks that need a letter to stand on. Unassigned ones (Cn) count as visible: new emoji are unassigned to old tables.
_INVISIBLE = frozenset(["Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp", "Mn", "Me"])
# Letters and symbols by category that are drawn as nothing: Hangul fillers, the empty Braille cell.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")

_ASCII_LETTERS = string.ascii_letters.encode()
_ASCII_INVISIBLE = bytes([*range(33), 127])
_ASCII_PUNCTUATION = string.punctuation.encode()
# With the quotation marks, dashes and stops of other scripts that web captions hold.
_NO_PUNCTUATION = str.maketrans(
    "", "", string.punctuation + "\u2018\u2019\u201c\u201d\u2026\u2013\u2014\u00ab\u00bb\u3001\u3002\uff0c"
)


def word_count(caption: str) -> float:
    """Count words: runs of characters between white space in which something is visible; an empty caption has none."""
    words = caption.split()
    if caption.isascii() and caption.isprintable():  # the usual caption: nothing in it is invisible
        return float(len(words))
    return float(sum(map(_is_visible, words)))


def _is_visible(word: str) -> bool:
    if word[0].isalnum() and word[0] not in _BLANK:
        return True
    return any(unicodedata.category(letter) not in _INVISIBLE and letter not in _BLANK for letter in word)


def _words(facts: Facts) -> float:
    return word_count(facts.caption)


FEW_WORDS = Filter(
    score="words",
    measure=_words,
    at_least=Limit(
        key="min_words",
        default=3,
        minimum=0,
        unit="words",
        description="words of the caption; a pair is dropped when below this",
    ),
)

MANY_WORDS = Filter(
    score="words",
    measure=_words,
    at_most=Limit(
        key="max_words",
        default=100,
        minimum=1,
        unit="words",
        description="words of the caption; a pair is dropped when above this",
    ),
)


def character_count(caption: str) -> float:
    """Count characters: code points, white space among them, as Python's `len` and DataComp's baseline do."""
    return float(len(caption))


FEW_CHARACTERS = Filter(
    score="characters",
    measure=lambda facts: character_count(facts.caption),
    at_least=Limit(
        key="min_characters",
        default=None,
        number=int,
        minimum=0,
        unit="characters",
        description="characters of the caption, white space among them; a pair is dropped when below this (LAION-400M: "
        "5; COYO-700M and DataComp: 6); null: not judged",
    ),
)

MANY_CHARACTERS = Filter(
    score="characters",
    measure=lambda facts: character_count(facts.caption),
    at_most=Limit(
        key="max_characters",
        default=None,
        number=int,
        minimum=1,
        unit="characters",
        description="characters of the caption, white space among them; a pair is dropped when above this (COYO-700M: "
        "1000); null: not judged",
    ),
)


def letter_share(caption: str) -> float:
    """Divide the letters, with the marks that belong to them, by all visible characters; 0 to 1, 0 where none is.

    Letters are of any script (Unicode categories L and M); digits, punctuation and symbols are visible and no letters.
    """
    if caption.isascii():
        data = caption.encode("ascii")
        visible = data.translate(None, _ASCII_INVISIBLE)
        return 1 - len(visible.translate(None, _ASCII_LETTERS)) / len(visible) if visible else 0.0
    letters = seen = 0
    for letter in caption:
        category = unicodedata.category(letter)
        if category[0] in "LM" and letter not in _BLANK:
            letters += 1
            seen += 1
        elif category not in _INVISIBLE and letter not in _BLANK:
            seen += 1
    return letters / seen if seen else 0.0


LOW_LETTER_SHARE = Filter(
    score="letter_share",
    measure=lambda facts: letter_share(facts.caption),
    at_least=Limit(
        key="min_letter_share",
        default=None,
        number=float,
        minimum=0,
        maximum=1,
        quantity="letters",
        unit="of the visible characters",
        description="letters over visible characters, 0 to 1; a pair is dropped when below this; null: not judged",
    ),
)


def repetition(caption: str) -> float:
    """Divide the words that were there before by all words; 0 to below 1, 0 without a word.

    Words are compared without case and punctuation; those of punctuation alone are none. CC12M
    (Changpinyo et al. 2021, section 2.1) keeps a "fraction of word repetition" up to 0.2 and gives no formula; this is
    the share of words that a caption would lose if each were said once.
    """
    lowered = caption.lower()
    words: list[bytes] | list[str]
    if lowered.isascii():
        words = lowered.encode("ascii").translate(None, _ASCII_PUNCTUATION).split()
    else:
        words = lowered.translate(_NO_PUNCTUATION).split()
    return 1 - len(set(words)) / len(words) if words else 0.0


REPETITION = Filter(
    score="repetition",
    measure=lambda facts: repetition(facts.caption),
    at_most=Limit(
        key="max_repetition",
        default=None,
        number=float,
        minimum=0,
        maximum=1,
        quantity="repeated words",
        unit="of all words",
        description="words of the caption that were there before over all its words, 0 to 1; a pair is dropped when "
        "above this (CC12M: 0.2); null: not judged",
    ),
)
