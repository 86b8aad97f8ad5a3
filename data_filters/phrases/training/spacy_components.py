"""The spaCy components that config.cfg names: an augmentation of sentences, and extra rules of the tokenizer."""

import random
from collections.abc import Callable, Iterator

from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import compile_infix_regex, registry

# spaCy keeps "15-year-old" and "F-16" as one token; the treebank splits them.
INFIXES = (r"(?<=[0-9])-(?=[A-Za-z])", r"(?<=[A-Za-z])-(?=[0-9])")


@registry.callbacks("loupe.split_hyphens.v1")
def split_hyphens() -> Callable[[Language], Language]:
    """Make the callback of `initialize.before_init` that adds INFIXES to the tokenizer, with which they are stored."""

    def change(nlp: Language) -> Language:
        assert nlp.Defaults.infixes is not None
        assert isinstance(nlp.tokenizer, Tokenizer)
        nlp.tokenizer.infix_finditer = compile_infix_regex([*nlp.Defaults.infixes, *INFIXES]).finditer
        return nlp

    return change


Augmenter = Callable[[Language, Example], Iterator[Example]]


@registry.augmenters("loupe.caption_style.v1")
def caption_style(lower: float, unpunctuated: float, seed: int) -> Augmenter:
    """Make an augmenter that gives sentences the form of captions, drawn anew each time that a document is read.

    With probability `lower` the document is lower-cased; with `unpunctuated` its last punctuation mark is dropped.
    """
    draw = random.Random(seed)

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        doc = example.reference
        length = len(doc)
        last = doc[length - 1]
        unread = all(token.head.i != last.i or token.i == last.i for token in doc)
        if length > 1 and last.pos_ == "PUNCT" and unread and draw.random() < unpunctuated:
            length -= 1
        small = draw.random() < lower
        if length == len(doc) and not small:
            yield example
            return
        kept = doc[:length]
        changed = Doc(
            nlp.vocab,
            words=[token.lower_ if small else token.text for token in kept],
            spaces=[bool(token.whitespace_) for token in kept],
            tags=[token.tag_ for token in kept],
            pos=[token.pos_ for token in kept],
            heads=[token.head.i for token in kept],
            deps=[token.dep_ for token in kept],
        )
        yield Example(nlp.make_doc(changed.text), changed)

    return augment
