"""The training of the vocabulary: deterministic, and the shipped one is its result."""

import json
import sys
import tarfile
from io import BytesIO

import pretrain.data.vocabulary_training as module
from pretrain.data.samples.tokenizer import SHIPPED_VOCABULARY
from pretrain.data.vocabulary_training import everyday_words, shard_captions, train, treebank_sentences


def test_everyday_words_are_one_piece_each():
    pieces = set(SHIPPED_VOCABULARY.read_text(encoding="utf-8").split("\n"))
    words = everyday_words()
    assert len(words) > 1000
    assert not [word for word in words if word not in pieces]


def test_training_is_deterministic_and_keeps_its_own_words_whole():
    texts = ["the red dog sees the blue dog", "a dog, a cat & the naïve café", "Ωmega ω Ω ω"] * 5
    first = train(texts, ["umbrella"], size=180)
    assert first == train(texts, ["umbrella"], size=180)
    assert {"dog", "umbrella", "ω"} <= set(first)
    assert len(first) == len(set(first)) <= 180
    assert "##," not in first  # punctuation is cut off before pieces are sought


def test_the_recipe_gives_the_shipped_vocabulary_again(shared_data):
    texts = [
        *treebank_sentences(shared_data / "treebank" / "en_ewt-train.conllu"),
        *shard_captions(shared_data / "openstax" / "raw"),
    ]
    assert train(texts, everyday_words()) == SHIPPED_VOCABULARY.read_text(encoding="utf-8").split("\n")[:-1]


def test_sentences_are_the_text_comments_of_a_treebank(tmp_path):
    file = tmp_path / "some.conllu"
    file.write_text("# sent_id = 1\n# text = A red dog.\n1\tA\ta\n\n# text = Café!\n", encoding="utf-8")
    assert list(treebank_sentences(file)) == ["A red dog.", "Café!"]


def write_raw(path, records):
    with tarfile.open(path, "w") as tar:
        for number, record in enumerate(records):
            for extension, data in (("jpg", b"none"), ("json", json.dumps(record).encode())):
                entry = tarfile.TarInfo(f"{number}.{extension}")
                entry.size = len(data)
                tar.addfile(entry, BytesIO(data))


def test_captions_are_the_english_ones_in_order_of_the_shards(tmp_path):
    write_raw(tmp_path / "1.tar", [{"caption": "third"}])
    write_raw(
        tmp_path / "0.tar",
        [
            {"caption": "first"},
            {"caption": "po polsku", "source": "osbooks-psychologia/1"},
            {"caption": "second", "source": "osbooks-physics"},
        ],
    )
    assert list(shard_captions(tmp_path)) == ["first", "second", "third"]


def test_words_are_listed_once_without_comments(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("# animals\ndog cat\n\ncat cow\n", encoding="utf-8")
    assert everyday_words(file) == ["dog", "cat", "cow"]


def test_the_command_writes_one_piece_a_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "t.conllu").write_text("# text = a red dog\n" * 5, encoding="utf-8")
    write_raw(tmp_path / "0.tar", [{"caption": "a blue cat"}])
    output = tmp_path / "vocab.txt"
    arguments = [
        "--treebank",
        str(tmp_path / "t.conllu"),
        "--captions",
        str(tmp_path),
        "--output",
        str(output),
    ]
    monkeypatch.setattr(sys, "argv", ["vocabulary_training", *arguments])
    module.main()
    expected = train(["a red dog"] * 5 + ["a blue cat"], everyday_words())
    assert output.read_text(encoding="utf-8").splitlines() == expected
    assert f"{len(expected)} pieces from 6 texts" in capsys.readouterr().out
