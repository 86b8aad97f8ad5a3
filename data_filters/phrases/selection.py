"""Chooses the phrases of a caption among its noun phrases, by level, length, stop list and number."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from spacy.symbols import DET, PRON, PUNCT, SPACE

from data_filters.phrases.options import PhraseOptions

Span = tuple[int, int]


class NounPhrase(NamedTuple):
    """A noun phrase in token positions: its base part and the whole, both half open, with the same start."""

    start: int
    base_end: int
    end: int
    head: int


class Words(NamedTuple):
    """The columns of a parsed caption that choosing needs, one entry per token."""

    text: Sequence[str]
    pos: Sequence[int]
    begin: Sequence[int]


def choose(
    words: Words, phrases: Iterable[NounPhrase], options: PhraseOptions, stop: frozenset[str]
) -> list[Span]:
    """Choose phrases; returns their character spans by start, the longer first, none twice.

    `maximal`: going from left to right, a phrase that fits into `max_tokens` and lies in no chosen one is chosen whole;
    a phrase that is too long, or whose base is in the stop list ("a photo of ..."), is replaced by those inside it.
    """
    chosen: set[Span] = set()
    covered = 0
    for phrase in sorted(phrases, key=lambda p: (p.start, -p.end)):
        base = (phrase.start, phrase.base_end)
        whole = (phrase.start, phrase.end)
        is_pronoun = phrase.base_end - phrase.start == 1 and words.pos[phrase.head] == PRON
        if not is_pronoun and _bare(words, *base) in stop:
            continue
        if base[1] - base[0] <= options.max_tokens and not is_pronoun:
            chosen.add(base)
        outermost = phrase.start >= covered and whole != base
        if options.level == "maximal" and outermost and whole[1] - whole[0] <= options.max_tokens:
            chosen.add(whole)
            covered = phrase.end
    spans = {_characters(words, start, end, options.keep_determiners) for start, end in chosen}
    ordered = sorted((span for span in spans if span is not None), key=lambda span: (span[0], -span[1]))
    return ordered[: options.max_phrases]


def trim(pos: Sequence[int], start: int, end: int) -> Span:
    """Cut punctuation marks and blanks off both ends; an empty range when nothing else is there."""
    while start < end and pos[start] in (PUNCT, SPACE):
        start += 1
    while end > start and pos[end - 1] in (PUNCT, SPACE):
        end -= 1
    return start, end


def _bare(words: Words, start: int, end: int) -> str:
    """The phrase as the stop list writes it: lower case, without determiners or possessive pronouns in front."""
    while start < end - 1 and words.pos[start] in (DET, PRON):
        start += 1
    text: list[str] = []
    for i in range(start, end):
        glued = i > start and words.begin[i] == words.begin[i - 1] + len(words.text[i - 1])
        text.append(words.text[i].lower() if glued or not text else " " + words.text[i].lower())
    return "".join(text)


def _characters(words: Words, start: int, end: int, keep_determiners: bool) -> Span | None:
    if not keep_determiners:
        while start < end and words.pos[start] == DET:
            start += 1
        start, end = trim(words.pos, start, end)
    # Parsers label emoji and stray control characters as nouns.
    if not any(letter.isalnum() for i in range(start, end) for letter in words.text[i]):
        return None
    return words.begin[start], words.begin[end - 1] + len(words.text[end - 1])
