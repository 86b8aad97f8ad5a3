"""Noun phrases of a dependency tree, for the labels of Universal Dependencies and for those of spaCy's own English.

spaCy's `noun_chunks` knows only the latter. A base noun phrase is a noun, proper noun or pronoun with its determiners,
adjectival and nominal premodifiers, numerals, possessives and the parts of its name, without what follows the head.
The whole noun phrase goes on to its prepositional phrases and clauses. It ends before the first conjunct or apposition:
"a man and a woman" speaks of two things, and both are phrases of their own; so does a list that the parser mistook
for an apposition.

Source: universaldependencies.org/u/dep (nominals); ClearNLP guidelines for spaCy's labels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from spacy.symbols import NOUN, PRON, PROPN
from spacy.tokens import Doc

from data_filters.phrases.selection import NounPhrase, Words, trim

NOMINAL = (NOUN, PROPN, PRON)
# What neither belongs to the noun phrase by itself nor ends it; any other link (conjunct, apposition, clause) ends it.
PASSED_OVER = ("punct", "advmod")


@dataclass(frozen=True)
class Labels:
    """What the dependency labels of a treebank mean for a noun phrase."""

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
    """Which meaning the labels of a parser have: ClearNLP hangs a preposition's noun from it as `pobj`."""
    return CLEAR if "pobj" in parser_labels else UNIVERSAL


def words_of(doc: Doc) -> Words:
    """The columns of a parsed document that choosing needs."""
    return Words(
        text=[token.text for token in doc],
        pos=[token.pos for token in doc],
        begin=[token.idx for token in doc],
    )


def noun_phrases(doc: Doc, labels: Labels) -> Iterator[NounPhrase]:
    """Every noun phrase of a parsed document, by its head, which lies in no other base part."""
    pos = [token.pos for token in doc]
    found: list[NounPhrase] = []
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
        # "of" or "and" in front of a premodifier is that of the whole phrase, misplaced by the parser.
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
        found.append(NounPhrase(start, base_end, end, head))
        for i in range(start, base_end):
            if i != head:
                inside[i] = True
    return (phrase for phrase in found if not inside[phrase.head])


def _name_end(part: int, doc: Doc, labels: Labels) -> int:
    """Past the last word of a name whose word `part` belongs to the head: parts may hang from parts."""
    end = part + 1
    for child in doc[part].rights:
        if child.dep_ in labels.name_parts:
            end = max(end, _name_end(child.i, doc, labels))
    return end
