"""Copies a trained pipeline into `assets/`: `python -m data_filters.phrases.training.shipping TRAINED`.

The fine tagger is left out: it helps to train the shared layers, but no phrase needs it.
"""

import shutil
import sys
from pathlib import Path

import spacy

from data_filters.phrases.noun_chunks import DEFAULT_MODEL

LICENSE = "CC BY-SA 4.0"
SOURCE = {
    "name": "Universal Dependencies English Web Treebank (UD_English-EWT)",
    "author": "Natalia Silveira, Timothy Dozat, Christopher Manning, Sebastian Schuster, Ethan Chi, John Bauer, "
    "Miriam Connor, Marie-Catherine de Marneffe, Nathan Schneider, Sam Bowman, Hanzhi Zhu, Daniel Galbraith and others",
    "license": LICENSE,
    "url": "https://github.com/UniversalDependencies/UD_English-EWT",
}


def main(trained: Path) -> None:
    """Replace the shipped pipeline by the one in the folder `trained`, with licence and source in its metadata."""
    nlp = spacy.load(trained, exclude=["tagger"])
    nlp.meta.update(
        name="loupe_ewt",
        version="1.0.0",
        description="Parts of speech and dependencies for the noun phrases of English captions",
        author="the authors of loupe",
        license=LICENSE,
        sources=[SOURCE],
    )
    if DEFAULT_MODEL.exists():
        shutil.rmtree(DEFAULT_MODEL)
    nlp.to_disk(DEFAULT_MODEL)
    size = sum(file.stat().st_size for file in DEFAULT_MODEL.rglob("*") if file.is_file())
    print(f"{DEFAULT_MODEL}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
