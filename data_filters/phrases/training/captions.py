"""Composes caption-like trees from noun phrases of the treebank.

Web text consists of clauses; captions are often a noun phrase, two of them, or a list, without a verb. Here such trees
are composed from parts of the training trees: each noun phrase keeps its own gold tree, and the words between them
("and", ",", "on", "next to", "a photo of") are annotated as in the treebank. All words are from the treebank, except
the joining words below and made-up words: a `described` phrase is a determiner, adjectives and a noun, where the noun
is often an unknown word or one that usually has another part of speech (the "can" of "trash can"), so that the parser
learns to rely on the position rather than on the word.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from data_filters.phrases.training.treebank import Tree

LONGEST_PIECE = 9
PREPOSITIONS: Sequence[Sequence[str]] = (
    ("on",), ("in",), ("with",), ("near",), ("under",), ("above",), ("below",), ("behind",), ("beside",),
    ("of",), ("by",), ("at",), ("over",), ("around",), ("against",), ("between",), ("inside",), ("from",),
    ("next", "to"),
)  # fmt: skip
PLACES = ("front", "top", "left", "right", "middle", "back", "side", "center", "corner", "background")
MEDIA = (
    "photo",
    "picture",
    "image",
    "view",
    "drawing",
    "painting",
    "photograph",
    "illustration",
    "diagram",
    "map",
)
OUTSIDE = {
    "case",
    "cc",
    "punct",
    "cop",
    "nsubj",
    "mark",
    "aux",
    "advcl",
    "parataxis",
    "discourse",
    "conj",
    "list",
}

# Word, fine tag, part of speech, head inside the piece (-1: its root), label, whether a space follows.
Row = tuple[str, str, str, int, str, bool]


def pieces(trees: Iterable[Tree]) -> list[list[Row]]:
    """Cut out the noun phrases of at most LONGEST_PIECE words, with their own trees and without their outer links."""
    phrases = []
    for tree in trees:
        children: list[list[int]] = [[] for _ in tree.words]
        for i, head in enumerate(tree.heads):
            if head != i:
                children[head].append(i)
        for i, part in enumerate(tree.pos):
            if part not in ("NOUN", "PROPN") or any(tree.labels[c] == "cop" for c in children[i]):
                continue
            inside, queue = {i}, [c for c in children[i] if tree.labels[c].split(":")[0] not in OUTSIDE]
            while queue:
                word = queue.pop()
                inside.add(word)
                queue += children[word]
            order = sorted(inside)
            if len(order) > LONGEST_PIECE or order[-1] - order[0] + 1 != len(order):
                continue
            if tree.pos[order[0]] == "PUNCT" or tree.pos[order[-1]] in ("PUNCT", "SYM", "X"):
                continue
            phrases.append(
                [
                    (
                        tree.words[w],
                        tree.tags[w],
                        tree.pos[w],
                        -1 if w == i else order.index(tree.heads[w]),
                        tree.labels[w],
                        tree.spaces[w] or w == order[-1],
                    )
                    for w in order
                ]
            )
    return phrases


class _Builder:
    """Builds one tree word by word."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []

    def word(self, text: str, tag: str, pos: str, head: int, label: str) -> int:
        self.rows.append([text, tag, pos, head, label, True])
        return len(self.rows) - 1

    def piece(self, rows: Sequence[Row], head: int, label: str) -> int:
        shift = len(self.rows)
        for text, tag, pos, inner, label_inside, space in rows:
            at_root = inner < 0
            self.rows.append(
                [
                    text,
                    tag,
                    pos,
                    head if at_root else inner + shift,
                    label if at_root else label_inside,
                    space,
                ]
            )
        return shift + next(i for i, row in enumerate(rows) if row[3] < 0)

    def tree(self) -> Tree:
        words = [row[0] for row in self.rows]
        after = [*words[1:], ""]
        return Tree(
            words=words,
            spaces=[row[5] and nxt not in (",", ".") for row, nxt in zip(self.rows, after, strict=True)],
            tags=[row[1] for row in self.rows],
            pos=[row[2] for row in self.rows],
            heads=[i if row[3] < 0 else row[3] for i, row in enumerate(self.rows)],
            labels=[row[4] for row in self.rows],
            opens_paragraph=True,
        )


def _preposition(tree: _Builder, draw: random.Random) -> list[int]:
    """Add the words of a preposition; their heads (-2) are filled in when the noun is known."""
    return [tree.word(word, "IN", "ADP", -2, "case") for word in draw.choice(PREPOSITIONS)]


def _attach(tree: _Builder, noun: Sequence[Row], head: int, draw: random.Random) -> int:
    """Add ` PREPOSITION noun` or ` to the left of noun` below `head`; returns the noun's position."""
    if draw.random() < 0.2:
        case = tree.word(draw.choice(("in", "on", "to", "at")), "IN", "ADP", -2, "case")
        det = tree.word("the", "DT", "DET", -2, "det") if draw.random() < 0.7 else None
        place = tree.word(draw.choice(PLACES), "NN", "NOUN", head, "nmod")
        for word in (case, det):
            if word is not None:
                tree.rows[word][3] = place
        inner = tree.word("of", "IN", "ADP", -2, "case")
        root = tree.piece(noun, place, "nmod")
        tree.rows[inner][3] = root
        return root
    case_words = _preposition(tree, draw)
    root = tree.piece(noun, head, "nmod")
    for word in case_words:
        tree.rows[word][3] = root
    return root


@dataclass(frozen=True)
class Words:
    """Words of the training trees, in lower case: attributive adjectives, common nouns, verbs by form, all words."""

    adjectives: list[str]
    nouns: list[str]
    shows: list[str]
    showing: list[str]
    shown: list[str]
    all: list[str]


def words_of(trees: Iterable[Tree]) -> Words:
    """Collect the words that `described` draws from, each as often as it occurs, but those of `all` once."""
    kinds: dict[str, list[str]] = {"JJ": [], "NN": [], "VBZ": [], "VBG": [], "VBN": []}
    every: set[str] = set()
    for tree in trees:
        for word, tag, pos, label in zip(tree.words, tree.tags, tree.pos, tree.labels, strict=True):
            if not (word.isascii() and word.isalpha() and word.islower() and len(word) > 2):
                continue
            every.add(word)
            if (tag == "JJ" and label == "amod") or tag == "NN" or (tag in kinds and pos == "VERB"):
                kinds[tag].append(word)
    return Words(kinds["JJ"], kinds["NN"], kinds["VBZ"], kinds["VBG"], kinds["VBN"], sorted(every))


def described(words: Words, draw: random.Random) -> list[Row]:
    """Draw a determiner, up to three adjectives, perhaps a noun, and a noun: "a large grey fire bulb"."""
    before = [
        (draw.choice(words.adjectives), "JJ", "ADJ", "amod") for _ in range(draw.choice((0, 1, 1, 2, 2, 3)))
    ]
    if draw.random() < 0.3:
        before.append((draw.choice(words.nouns), "NN", "NOUN", "compound"))
    kind = draw.random()
    if kind < 0.5:
        head = draw.choice(words.nouns)
    elif kind < 0.85:
        first_noun, second_noun = draw.choice(words.nouns), draw.choice(words.nouns)
        head = first_noun[: (len(first_noun) + 1) // 2] + second_noun[len(second_noun) // 2 :]
    else:
        head = draw.choice(words.all)
    first = before[0][0] if before else head
    article = draw.choice(("the", "an" if first[0] in "aeiou" else "a", "an" if first[0] in "aeiou" else "a"))
    root = len(before) + 1
    rows: list[Row] = [(article, "DT", "DET", root, "det", True)]
    rows += [(text, tag, pos, root, label, True) for text, tag, pos, label in before]
    return [*rows, (head, "NN", "NOUN", -1, "root", True)]


def compose(
    stock: Sequence[list[Row]], count: int, seed: int, words: Words | None = None, share: float = 0.0
) -> Iterator[Tree]:
    """Compose `count` caption-like trees, a pure function of the arguments; `share` of the phrases are `described`."""
    draw = random.Random(seed)
    plain = [piece for piece in stock if len(piece) > 1 and piece[0][2] == "DET"]

    def phrase() -> list[Row]:
        """Draw a phrase; half of the plain ones have a determiner, since captions use more of them than web text."""
        if words is not None and share and draw.random() < share:
            return described(words, draw)
        return draw.choice(plain if draw.random() < 0.5 else stock)

    for _ in range(count):
        tree = _Builder()
        if words is not None and share and draw.random() < 0.4:
            yield _clause(tree, phrase, words, draw).tree()
            continue
        if draw.random() < 0.12:
            tree.word(draw.choice(("a", "the", "this")), "DT", "DET", 1, "det")
            medium = tree.word(draw.choice(MEDIA), "NN", "NOUN", -1, "root")
            case = tree.word("of", "IN", "ADP", -2, "case")
            first = tree.piece(phrase(), medium, "nmod")
            tree.rows[case][3] = first
        else:
            first = tree.piece(phrase(), -1, "root")
        shape = draw.random()
        if shape < 0.35:
            _attach(tree, phrase(), first, draw)
        elif shape < 0.75:
            _list(tree, first, phrase, draw)
        if draw.random() < 0.3:
            root = next(i for i, row in enumerate(tree.rows) if row[3] == -1)
            tree.word(".", ".", "PUNCT", root, "punct")
        yield tree.tree()


def _list(tree: _Builder, first: int, phrase: Callable[[], list[Row]], draw: random.Random) -> None:
    """Add `, noun , noun and noun`: conjuncts depend on the first noun, commas and "and" on the conjunct after them."""
    more = draw.choice((1, 1, 2, 3))
    for number in range(more):
        last = number == more - 1
        links = []
        if not last or draw.random() < 0.25:
            links.append(tree.word(",", ",", "PUNCT", -2, "punct"))
        if last and (draw.random() < 0.9 or not links):
            links.append(tree.word(draw.choice(("and", "and", "and", "or", "&")), "CC", "CCONJ", -2, "cc"))
        root = tree.piece(phrase(), first, "conj")
        for word in links:
            tree.rows[word][3] = root
        if draw.random() < 0.2:
            _attach(tree, phrase(), root, draw)


def _clause(tree: _Builder, phrase: Callable[[], list[Row]], words: Words, draw: random.Random) -> _Builder:
    """Add `noun VERBS noun`, `noun VERBING noun` or `noun VERBED in noun`: a verb directly after a noun."""
    if draw.random() < 0.35:
        det = tree.word(draw.choice(("a", "the", "this", "A", "This")), "DT", "DET", 1, "det")
        first = tree.word(draw.choice(MEDIA), "NN", "NOUN", -2, "nsubj")
        tree.rows[det][3] = first
    else:
        first = tree.piece(phrase(), -2, "nsubj")
    form = draw.choice(("VBZ", "VBZ", "VBG", "VBN"))
    stock = {"VBZ": words.shows, "VBG": words.showing, "VBN": words.shown}[form]
    verb = tree.word(draw.choice(stock), form, "VERB", -1, "root")
    if form == "VBZ":
        tree.rows[first][3] = verb
    else:
        tree.rows[first][3:5] = [-1, "root"]
        tree.rows[verb][3:5] = [first, "acl"]
    if form == "VBN" or draw.random() < 0.25:
        case_words = _preposition(tree, draw)
        other = tree.piece(phrase(), verb, "obl")
        for word in case_words:
            tree.rows[word][3] = other
    else:
        tree.piece(phrase(), verb, "obj")
    if draw.random() < 0.5:
        tree.word(".", ".", "PUNCT", verb if form == "VBZ" else first, "punct")
    return tree
