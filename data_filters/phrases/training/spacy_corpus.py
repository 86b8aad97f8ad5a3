"""Writes train.spacy and dev.spacy: `python -m data_filters.phrases.training.spacy_corpus TREEBANK OUTPUT [SHARE]`.

SHARE is the fraction of phrases in composed captions that are `described` ones (captions.py): 0 for the first run,
0.55 for the second, which also contains clauses.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from spacy.tokens import DocBin
from spacy.vocab import Vocab

from data_filters.phrases.training.captions import compose, pieces, words_of
from data_filters.phrases.training.treebank import Tree, read_trees, to_doc

CAPTIONS = 6000
SEED = 17


def grouped(trees: list[Tree], draw: random.Random) -> Iterator[list[Tree]]:
    """Group sentences of one paragraph into documents of one to three: the parser also learns sentence boundaries."""
    group: list[Tree] = []
    size = 1
    for tree in trees:
        if group and (len(group) >= size or tree.opens_paragraph):
            yield group
            group = []
        if not group:
            size = draw.choices((1, 2, 3), (6, 3, 1))[0]
        # Sentences of a paragraph are separated by a space, even where the treebank does not mark it.
        tree.spaces[-1] = True
        group.append(tree)
    if group:
        yield group


def main(treebank: Path, output: Path, share: float = 0.0) -> None:
    """Write `train.spacy` (sentences and composed captions) and `dev.spacy` (sentences) into the folder `output`."""
    vocab = Vocab()
    trees = list(read_trees(treebank / "en_ewt-train.conllu"))
    captions = list(compose(pieces(trees), CAPTIONS, SEED, words_of(trees), share))
    train = [to_doc(vocab, group) for group in grouped(trees, random.Random(SEED))]
    train += [to_doc(vocab, [tree]) for tree in captions]
    dev = [to_doc(vocab, [tree]) for tree in read_trees(treebank / "en_ewt-dev.conllu")]
    output.mkdir(parents=True, exist_ok=True)
    DocBin(docs=train).to_disk(output / "train.spacy")
    DocBin(docs=dev).to_disk(output / "dev.spacy")
    print(f"{len(train)} training documents ({len(captions)} composed captions), {len(dev)} of the dev set")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *map(float, sys.argv[3:]))
