"""Finds the noun phrases of a dependency tree, with labels of Universal Dependencies or of spaCy's English models.

spaCy's `noun_chunks` knows only the latter. A base noun phrase is a noun, proper noun or pronoun with its determiners,
adjectival and nominal premodifiers, numerals, possessives and the parts of its name, without what follows the head.
The whole noun phrase adds its prepositional phrases and clauses. It ends before the first conjunct or apposition:
"a man and a woman" names two things, and both are phrases of their own; the same holds for a list that the parser
labelled as an apposition.

Source: universaldependencies.org/u/dep (nominals); ClearNLP guidelines for spaCy's labels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from spacy.symbols import NOUN, PRON, PROPN
from spacy.tokens import Doc

from data_filters.phrases.selection import NounPhrase, Words, trim

NOMINAL = (NOUN, PROPN, PRON)
# Labels that neither belong to the noun phrase nor end it; any other label (conjunct, apposition, clause) ends it.
PASSED_OVER = ("punct", "advmod")


@dataclass(frozen=True)
class Labels:
    """The dependency labels of a treebank that belong to a noun phrase, by where they stand."""

    premodifiers: frozenset[str]
    name_parts: frozenset[str]
    postmodifiers: frozenset[str]


UNIVERSAL = Labels(
    premodifiers=frozenset(
        ["det", "det:predet", "det:poss", "amod", "nummod", "compound", "nmod:poss", "nmod:desc"]
    ),
    name_parts=frozenset(["flat", "flat:name", "flat:foreign", "goeswith", "nmod:desc"]),
    postmodifiers=frozenset(
        [
            "flat",
            "flat:name",
            "flat:foreign",
            "goeswith",
            "nmod:desc",
            "nmod",
            "nmod:unmarked",
            "nmod:npmod",
            "nmod:tmod",
            "obl:unmarked",
            "acl",
            "acl:relcl",
            "amod",
            "nummod",
            "compound",
        ]
    ),
)
CLEAR = Labels(
    premodifiers=frozenset(["det", "predet", "amod", "nummod", "compound", "poss", "nmod", "quantmod"]),
    name_parts=frozenset(),
    postmodifiers=frozenset(["prep", "acl", "relcl", "amod", "nummod", "npadvmod", "compound"]),
)


def labels_of(parser_labels: tuple[str, ...] | list[str]) -> Labels:
    """Choose the label set of a parser: only ClearNLP's has `pobj` (the noun of a preposition)."""
    return CLEAR if "pobj" in parser_labels else UNIVERSAL


def words_of(doc: Doc) -> Words:
    """Take from a parsed document the columns that `selection.choose` needs."""
    return Words(
        text=[token.text for token in doc],
        pos=[token.pos for token in doc],
        begin=[token.idx for token in doc],
    )


def noun_phrases(doc: Doc, labels: Labels) -> Iterator[NounPhrase]:
    """Find every noun phrase of a parsed document, in the order of the heads; no head lies in another base part."""
    pos = [token.pos for token in doc]
    phrases: list[NounPhrase] = []
    inside = [False] * len(pos)
    for head in range(len(pos)):
        if pos[head] not in NOMINAL:
            continue
        token = doc[head]
        start, base_end = head, head + 1
        for child in token.lefts:
            if child.dep_ in labels.premodifiers:
                start = min(start, child.left_edge.i)
        for child in token.rights:
            if child.dep_ in labels.name_parts:
                base_end = max(base_end, _name_end(child.i, doc, labels))
        # "of" or "and" in front of a premodifier belongs before the whole phrase; the parser misplaced it.
        while start < head and doc[start].dep_ in ("case", "cc", "punct"):
            start += 1
        start, base_end = trim(pos, start, base_end)
        end = base_end
        for child in token.rights:
            if child.dep_ in labels.postmodifiers:
                end = max(end, child.right_edge.i + 1)
            elif child.dep_ not in PASSED_OVER:
                break
        end = trim(pos, start, end)[1]
        phrases.append(NounPhrase(start, base_end, end, head))
        for i in range(start, base_end):
            if i != head:
                inside[i] = True
    return (phrase for phrase in phrases if not inside[phrase.head])


def _name_end(part: int, doc: Doc, labels: Labels) -> int:
    """The position after the last word of a name that contains the word `part`; parts may depend on parts."""
    end = part + 1
    for child in doc[part].rights:
        if child.dep_ in labels.name_parts:
            end = max(end, _name_end(child.i, doc, labels))
    return end
