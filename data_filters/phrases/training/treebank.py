"""Reads Universal Dependencies trees (CoNLL-U) as spaCy documents with their true spacing.

spaCy's converter puts a space between the words of a multiword token ("do n't"). Captions contain "don't", so the
original text is rebuilt here from SpaceAfter and the multiword ranges.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.tokens import Doc
from spacy.vocab import Vocab


@dataclass(frozen=True)
class Tree:
    """One dependency tree; heads are word positions in it, the root is its own head."""

    words: list[str]
    spaces: list[bool]
    tags: list[str]
    pos: list[str]
    heads: list[int]
    labels: list[str]
    opens_paragraph: bool = False

    def __len__(self) -> int:
        return len(self.words)


def read_trees(path: Path) -> Iterator[Tree]:
    """Read every sentence of a CoNLL-U file; empty nodes of the enhanced graph (numbered 8.1) are left out."""
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        lines = block.split("\n")
        rows = [line.split("\t") for line in lines if not line.startswith("#")]
        words = [row for row in rows if row[0].isdigit()]
        spaces = ["SpaceAfter=No" not in row[9] for row in words]
        for row in rows:
            if "-" in row[0]:
                first, last = (int(number) for number in row[0].split("-"))
                spaces[first - 1 : last] = [False] * (last - first) + ["SpaceAfter=No" not in row[9]]
        yield Tree(
            words=[row[1] for row in words],
            spaces=spaces,
            tags=[row[4] for row in words],
            pos=[row[3] for row in words],
            heads=[int(row[6]) - 1 if row[6] != "0" else i for i, row in enumerate(words)],
            labels=[row[7] for row in words],
            opens_paragraph=any(line.startswith("# newpar") for line in lines),
        )


def to_doc(vocab: Vocab, trees: Iterable[Tree]) -> Doc:
    """Make one document of one or more trees, each of which is a sentence."""
    whole: dict[str, list[Any]] = {name: [] for name in ("words", "spaces", "tags", "pos", "heads", "deps")}
    for tree in trees:
        shift = len(whole["words"])
        whole["words"] += tree.words
        whole["spaces"] += tree.spaces
        whole["tags"] += tree.tags
        whole["pos"] += tree.pos
        whole["heads"] += [shift + head for head in tree.heads]
        whole["deps"] += ["ROOT" if label == "root" else label for label in tree.labels]
    return Doc(
        vocab,
        words=whole["words"],
        spaces=whole["spaces"],
        tags=whole["tags"],
        pos=whole["pos"],
        heads=whole["heads"],
        deps=whole["deps"],
    )
