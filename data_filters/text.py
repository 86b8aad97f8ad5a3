"""Filters of the caption."""

from __future__ import annotations

import unicodedata

from data_filters.filter import Facts, Filter, Limit

# Control and format characters (zero-width, direction marks, soft hyphens), surrogates, private use, white space, and
# marks that need a letter to stand on. Unassigned ones (Cn) count as visible: new emoji are unassigned to old tables.
_INVISIBLE = frozenset(["Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp", "Mn", "Me"])
# Letters and symbols by category that are drawn as nothing: Hangul fillers, the empty Braille cell.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")


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
