"""Finds phrases with any spaCy pipeline that has a dependency parser, given by name or path."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from data_filters.errors import InputError
from data_filters.phrases.noun_phrases import labels_of, noun_phrases, words_of
from data_filters.phrases.options import PhraseOptions
from data_filters.phrases.selection import Span, choose
from data_filters.phrases.stop_list import load_stop_list

DEFAULT_MODEL = Path(__file__).parent / "assets" / "english_ewt"
# The components that noun phrases need; the others of a pipeline (entities, lemmas, ...) would only cost time.
NEEDED = (
    "tok2vec",
    "transformer",
    "curated_transformer",
    "tagger",
    "morphologizer",
    "attribute_ruler",
    "parser",
)

# spaCy's tokenizer takes one mark after another off a word, in time that grows with the square of their number (3 s for
# 3,900 exclamation marks), and each mark is a token for the parser. No English text comes near these bounds.
LONGEST_RUN = 256  # characters without white space
MOST_MARKS_TOGETHER = 32
CHARACTERS_PER_MARK = 10  # at least, over what is read of a caption; English text has about 30
_LONG_RUN = re.compile(rf"(\S{{{LONGEST_RUN}}})(\S+)")
_MARKS_TOGETHER = re.compile(rf"([^\w\s]{{{MOST_MARKS_TOGETHER}}})([^\w\s]+)")
_MARK = re.compile(r"[^\w\s]")


class NounChunks:
    """Extracts phrases from the dependency trees of one spaCy pipeline, which it loads once."""

    def __init__(self, model: str = "default", options: PhraseOptions | None = None) -> None:
        self.options = options or PhraseOptions()
        self.stop = load_stop_list(self.options.stop_list)
        self.nlp = _shared_pipeline(model)
        if "parser" not in self.nlp.pipe_names:
            raise InputError(
                f"phrases.model is {model!r}, whose components are {self.nlp.pipe_names}; a parser is needed; "
                "set phrases.model to a pipeline with one (default, en_core_web_sm)"
            )
        # spaCy types a component as a callable, whichever it is; a parser has labels.
        self.labels = labels_of(self.nlp.get_pipe("parser").labels)  # type: ignore[attr-defined]

    def __call__(self, captions: Iterable[str]) -> list[list[Span]]:
        """Find the character spans (start, end) of the phrases, one list per caption, in order."""
        phrases = []
        # Without the zone spaCy keeps every word that it has seen: gigabytes over the captions of a web corpus.
        with self.nlp.memory_zone():
            for doc, limit in parse(self.nlp, captions, self.options):
                spans = choose(words_of(doc), noun_phrases(doc, self.labels), self.options, self.stop)
                phrases.append([span for span in spans if span[1] < limit])
        return phrases


def load_pipeline(model: str, keep: tuple[str, ...] = NEEDED) -> Language:
    """Load a spaCy pipeline by name or path (`default`: the shipped one), without the components not in `keep`.

    Raises InputError when it is not installed or is no pipeline.
    """
    try:
        nlp = spacy.load(DEFAULT_MODEL if model == "default" else model)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"phrases.model is {model!r}, which spaCy cannot load ({reason}); expected `default`, the name of an "
            "installed pipeline or a path; install it, or set phrases.model to default"
        ) from error
    for name in nlp.pipe_names:
        if name not in keep:
            nlp.disable_pipe(name)
    return nlp


# Extractors in one process that differ only in their options share the pipeline.
_shared_pipeline = lru_cache(maxsize=2)(load_pipeline)


def parse(nlp: Language, captions: Iterable[str], options: PhraseOptions) -> Iterator[tuple[Doc, int]]:
    """Parse captions; each comes with a limit in characters: only phrases that end before it are complete."""
    texts, limits = [], []
    for caption in captions:
        text = readable(caption)
        limit = len(text) + 1
        if len(text) > options.max_characters:
            cut = text.rfind(" ", 0, options.max_characters + 1)
            limit = cut if cut > 0 else options.max_characters
            text = text[:limit]
        text = without_spam(text, max(MOST_MARKS_TOGETHER, options.max_characters // CHARACTERS_PER_MARK))
        texts.append(text)
        limits.append(min(limit, len(text) + 1))
    return zip(nlp.pipe(texts, batch_size=options.batch_size), limits, strict=True)


def without_spam(text: str, most_marks: int) -> str:
    """Blank what exceeds LONGEST_RUN and MOST_MARKS_TOGETHER, one character for one; cut the text behind `most_marks`.

    Offsets stay, and a text within these bounds is returned as it is.
    """
    text = _LONG_RUN.sub(_blanked, _MARKS_TOGETHER.sub(_blanked, text))
    for number, mark in enumerate(_MARK.finditer(text), start=1):
        if number > most_marks:
            return text[: mark.start()]
    return text


def _blanked(found: re.Match[str]) -> str:
    return found[1] + " " * len(found[2])


def readable(text: str) -> str:
    """Replace what UTF-8 cannot hold (lone surrogates) by `?`, one character for one, so that offsets stay."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text
