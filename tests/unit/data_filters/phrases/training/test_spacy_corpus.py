"""Documents hold sentences of one paragraph, none lost; the files are what spaCy reads."""

import random

import spacy
from spacy.tokens import DocBin

from data_filters.phrases.training import spacy_corpus
from data_filters.phrases.training.spacy_corpus import grouped, main
from data_filters.phrases.training.treebank import Tree

ROWS = [
    ("The", "DET", "DT", 2, "det"),
    ("dog", "NOUN", "NN", 3, "nsubj"),
    ("sees", "VERB", "VBZ", 0, "root"),
    ("a", "DET", "DT", 6, "det"),
    ("red", "ADJ", "JJ", 6, "amod"),
    ("umbrella", "NOUN", "NN", 3, "obj"),
]


def tree(number: int, opens: bool) -> Tree:
    return Tree([f"w{number}"], [False], ["NN"], ["NOUN"], [0], ["root"], opens_paragraph=opens)


def test_every_sentence_once_in_order_and_no_document_over_a_paragraph():
    trees = [tree(number, number % 5 == 0) for number in range(200)]
    documents = list(grouped(trees, random.Random(1)))
    assert [each for document in documents for each in document] == trees
    assert {len(document) for document in documents} == {1, 2, 3}
    assert not any(later.opens_paragraph for document in documents for later in document[1:])
    assert all(each.spaces[-1] for each in trees)


def conllu(sentences: int) -> str:
    lines = [
        f"{i}\t{word}\t_\t{pos}\t{tag}\t_\t{head}\t{label}\t_\t_"
        for i, (word, pos, tag, head, label) in enumerate(ROWS, start=1)
    ]
    return "\n\n".join("# newpar\n" + "\n".join(lines) for _ in range(sentences)) + "\n\n"


def test_both_files_are_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "en_ewt-train.conllu").write_text(conllu(4))
    (tmp_path / "en_ewt-dev.conllu").write_text(conllu(2))
    monkeypatch.setattr(spacy_corpus, "CAPTIONS", 5)
    main(tmp_path, tmp_path / "out")
    vocab = spacy.blank("en").vocab
    train, dev = (
        list(DocBin().from_disk(tmp_path / "out" / f"{name}.spacy").get_docs(vocab))
        for name in ("train", "dev")
    )
    assert (len(train), len(dev)) == (4 + 5, 2)
    assert dev[0].text.strip() == "The dog sees a red umbrella"
    assert [token.head.text for token in dev[0]] == ["dog", "sees", "sees", "umbrella", "umbrella", "sees"]
    assert "9 training documents (5 composed captions), 2 of the dev set" in capsys.readouterr().out
