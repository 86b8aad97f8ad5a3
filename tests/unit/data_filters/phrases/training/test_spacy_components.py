"""The tokenizer splits hyphens at digits as the treebank does; the augmentation keeps trees whole."""

import spacy
from spacy.training import Example

from data_filters.phrases.training.spacy_components import caption_style, split_hyphens
from data_filters.phrases.training.treebank import Tree, to_doc


def test_hyphens_beside_digits_are_split():
    nlp = split_hyphens()(spacy.blank("en"))
    assert [token.text for token in nlp("15-year-old F-16")] == [
        "15",
        "-",
        "year",
        "-",
        "old",
        "F",
        "-",
        "16",
    ]


def example(nlp: spacy.language.Language) -> Example:
    tree = Tree(
        words=["Two", "Dogs", "run", "."],
        spaces=[True, True, False, True],
        tags=["CD", "NNS", "VBP", "."],
        pos=["NUM", "NOUN", "VERB", "PUNCT"],
        heads=[1, 2, 2, 2],
        labels=["nummod", "nsubj", "root", "punct"],
    )
    doc = to_doc(nlp.vocab, [tree])
    return Example(nlp.make_doc(doc.text), doc)


def changed(lower: float, unpunctuated: float) -> Example:
    nlp = spacy.blank("en")
    (result,) = caption_style(lower, unpunctuated, seed=1)(nlp, example(nlp))
    return result


def test_certain_changes_by_hand():
    assert changed(0.0, 0.0).reference.text.strip() == "Two Dogs run."
    assert changed(1.0, 0.0).reference.text.strip() == "two dogs run."
    both = changed(1.0, 1.0)
    assert both.reference.text.strip() == both.predicted.text.strip() == "two dogs run"
    assert [token.head.i for token in both.reference] == [1, 2, 2]
    assert [token.dep_ for token in both.reference] == ["nummod", "nsubj", "ROOT"]


def test_each_change_comes_as_often_as_asked():
    nlp = spacy.blank("en")
    augment = caption_style(0.25, 0.5, seed=3)
    given = example(nlp)
    texts = [next(augment(nlp, given)).reference.text.strip() for _ in range(800)]
    assert 0.2 < sum(text.startswith("two") for text in texts) / 800 < 0.3
    assert 0.45 < sum(not text.endswith(".") for text in texts) / 800 < 0.55
