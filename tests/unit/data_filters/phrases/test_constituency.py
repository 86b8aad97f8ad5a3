"""NP constituents of given trees, in the attributes that benepar sets; and what is said when benepar is not there."""

import importlib.util

import pytest
import spacy
from spacy.tokens import Doc, Span

from data_filters.errors import InputError
from data_filters.phrases import load_extractor
from data_filters.phrases.constituency import np_constituents

VOCAB = spacy.blank("en").vocab
POS = {
    "NN": "NOUN",
    "NNS": "NOUN",
    "NNP": "PROPN",
    "PRP": "PRON",
    "DT": "DET",
    "JJ": "ADJ",
    ",": "PUNCT",
    ".": "PUNCT",
}


@pytest.fixture(autouse=True)
def attributes():
    """`Span._.labels` and `Span._.children` as benepar registers them, read from Doc.user_data."""
    before = {name: Span.get_extension(name) for name in ("labels", "children") if Span.has_extension(name)}
    node = lambda span: span.doc.user_data["tree"][span.start, span.end]  # noqa: E731
    Span.set_extension("labels", getter=lambda span: node(span)[0], force=True)
    Span.set_extension("children", getter=lambda span: [span.doc[a:b] for a, b in node(span)[1]], force=True)
    yield
    for name in ("labels", "children"):
        Span.remove_extension(name)
        if name in before:
            Span.set_extension(name, getter=before[name][2])


def parsed(bracketed: str) -> Doc:
    """A document from `(NP (DT a) (NN dog))`; chains of one child are one constituent with several labels."""
    words, tags, tree = [], [], {}
    tokens = bracketed.replace("(", " ( ").replace(")", " ) ").split()

    def node(at: int) -> int:
        label = tokens[at + 1]
        start, spans, at = len(words), [], at + 2
        if tokens[at] != "(":
            words.append(tokens[at])
            tags.append(label)
            tree[start, start + 1] = ((), [])
            return at + 2
        while tokens[at] == "(":
            first = len(words)
            at = node(at)
            spans.append((first, len(words)))
        here = (start, len(words))
        if spans == [here]:
            tree[here] = ((label, *tree[here][0]), tree[here][1])
        else:
            tree[here] = ((label,), spans)
        return at + 1

    node(0)
    pos = [POS.get(tag, "X") for tag in tags]
    doc = Doc(VOCAB, words=words, tags=tags, pos=pos, sent_starts=[i == 0 for i in range(len(words))])
    doc.user_data["tree"] = tree
    return doc


def read(bracketed: str) -> list[tuple[str, str]]:
    doc = parsed(bracketed)
    return [(doc[p.start : p.base_end].text, doc[p.start : p.end].text) for p in np_constituents(doc)]


def test_a_phrase_and_what_it_heads():
    assert read(
        "(S (NP (NP (DT a) (NN girl)) (PP (IN in) (NP (DT a) (JJ blue) (NN coat)))) (VP (VBZ waves)) (. .))"
    ) == [("a girl", "a girl in a blue coat"), ("a blue coat", "a blue coat")]


def test_a_coordination_is_no_phrase_but_its_conjuncts_are():
    assert read("(NP (NP (DT a) (NN man)) (CC and) (NP (DT a) (NN dog)))") == [
        ("a man", "a man"),
        ("a dog", "a dog"),
    ]
    listed = "(NP (NP (DT a) (NN man)) (, ,) (NP (DT a) (NN dog)) (, ,) (NP (NNS cats)))"
    assert [whole for _, whole in read(listed)] == ["a man", "a dog", "cats"]


def test_possessors_stay_in_the_base_part():
    assert read("(NP (NP (DT the) (NN dog) (POS 's)) (JJ long) (NN tail))") == [("the dog 's long tail",) * 2]


def test_a_noun_in_a_bare_verb_phrase_is_found():
    assert read("(S (VP (VBG riding) (NP (NNS bikes))))") == [("bikes", "bikes")]
    assert read("(NP (NN dog))") == [("dog", "dog")]
    assert read("(S (VP (VB run)))") == []


@pytest.mark.skipif(importlib.util.find_spec("benepar") is not None, reason="benepar is installed here")
def test_without_benepar_the_way_to_it_is_said():
    with pytest.raises(InputError, match=r"needs benepar.*pip install benepar"):
        load_extractor("constituency")
