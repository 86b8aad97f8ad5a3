"""Finds phrases with a constituency parser: benepar inside a spaCy pipeline. The LOUPE paper used one; optional extra.

Source: Kitaev and Klein (2018), Constituency Parsing with a Self-Attentive Encoder; NP of the Penn Treebank.
"""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from spacy.language import Language
from spacy.symbols import NOUN, PRON, PROPN
from spacy.tokens import Doc, Span

from data_filters.errors import InputError
from data_filters.phrases.noun_chunks import load_pipeline, parse
from data_filters.phrases.noun_phrases import words_of
from data_filters.phrases.options import PhraseOptions
from data_filters.phrases.selection import NounPhrase, choose, trim
from data_filters.phrases.selection import Span as Characters
from data_filters.phrases.stop_list import load_stop_list

PARSER = "benepar_en3"


class Constituency:
    """Extracts the NP constituents of a benepar parser; `model` is PIPELINE or PIPELINE:BENEPAR_MODEL."""

    def __init__(self, model: str = "default", options: PhraseOptions | None = None) -> None:
        self.options = options or PhraseOptions()
        self.stop = load_stop_list(self.options.stop_list)
        self.nlp = load_benepar(model)

    def __call__(self, captions: Iterable[str]) -> list[list[Characters]]:
        """Find the character spans (start, end) of the phrases, one list per caption, in order."""
        phrases = []
        with self.nlp.memory_zone():
            for doc, limit in parse(self.nlp, captions, self.options):
                spans = choose(words_of(doc), np_constituents(doc), self.options, self.stop)
                phrases.append([span for span in spans if span[1] < limit])
        return phrases


def load_benepar(model: str) -> Language:
    """Load a spaCy pipeline with benepar as its last component.

    Raises InputError when benepar or its model is not installed.
    """
    if find_spec("benepar") is None:
        raise InputError(
            "phrases.extractor is 'constituency', which needs benepar, and it is not installed; "
            "run `pip install benepar`, or set phrases.extractor to noun_chunks"
        )
    import benepar  # noqa: F401  (registers the component)

    pipeline, _, parser = model.partition(":")
    nlp = load_pipeline(pipeline)
    try:
        nlp.add_pipe("benepar", config={"model": parser or PARSER})
    except (LookupError, OSError, ValueError) as error:
        raise InputError(
            f"phrases.model is {model!r}; benepar has no model {parser or PARSER!r} here "
            f"({str(error).strip().splitlines()[0]}); run `python -c \"import benepar; benepar.download('{PARSER}')\"`"
        ) from error
    return nlp


def np_constituents(doc: Doc) -> Iterator[NounPhrase]:
    """Yield every base NP of a parsed document with the largest NP that begins with it and has it as head.

    A base NP contains no other NP except possessors ("the dog's tail"). "a girl" is the head of "a girl in a blue
    coat", but not of the coordination "a girl and a dog": there the conjuncts are phrases, the whole is not.
    """
    for sentence in doc.sents:
        yield from _descend(sentence, doc, [])


def _descend(node: Span, doc: Doc, opened: list[Span]) -> Iterator[NounPhrase]:
    """Yield the base NPs below `node`; `opened` are the NPs above it that begin with it and have it as head."""
    children: list[Span] = list(node._.children)
    nested = [child for child in children if _holds_np(child)]
    if not _is_np(node):
        for child in children:
            yield from _descend(child, doc, [])
        return
    if all(_is_possessor(child) for child in nested):
        pos = [token.pos for token in doc]
        start, base_end = trim(pos, node.start, node.end)
        head = next((i for i in reversed(range(start, base_end)) if pos[i] in (NOUN, PROPN, PRON)), None)
        if head is not None:
            whole = [trim(pos, np.start, np.end) for np in opened]
            ends = [end for begin, end in whole if begin == start]
            yield NounPhrase(start, base_end, max([base_end, *ends]), head)
        return
    coordinated = any(_tag(child) in ("CC", "CONJP") for child in children) or (
        sum(_is_np(child) for child in children) > 1
    )
    for number, child in enumerate(children):
        heads = number == 0 and not coordinated
        yield from _descend(child, doc, [*opened, node] if heads else [])


def _is_np(node: Span) -> bool:
    return "NP" in node._.labels


def _holds_np(node: Span) -> bool:
    return _is_np(node) or any(_holds_np(child) for child in node._.children)


def _is_possessor(node: Span) -> bool:
    return _is_np(node) and node[-1].text.lower() in ("'s", "’s", "'", "’")


def _tag(node: Span) -> str:
    """The part-of-speech tag of a single word, else the first label of the constituent."""
    return node[0].tag_ if len(node) == 1 else str(next(iter(node._.labels), ""))
