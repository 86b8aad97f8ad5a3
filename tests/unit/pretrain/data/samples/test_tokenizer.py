"""The shipped tokenizer, and what is refused."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_filters.errors import InputError
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.data.vocabulary_training import treebank_sentences

CAPTION = "A LARGE red umbrella, to the left of a small café."


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer("loupe")


def test_special_tokens_come_first_and_frame_a_caption(tokenizer):
    assert tokenizer.convert_ids_to_tokens(range(5)) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert len(tokenizer) == tokenizer.vocab_size == 8000
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(CAPTION)["input_ids"])
    # lower-cased, accents stripped, everyday words whole
    assert " ".join(tokens) == "[CLS] a large red umbrella , to the left of a small cafe . [SEP]"


def test_offsets_point_into_the_caption_as_written(tokenizer):
    coded = tokenizer(CAPTION, return_offsets_mapping=True)
    words = [CAPTION[start:end] for start, end in coded["offset_mapping"][1:-1]]
    assert words == [
        "A",
        "LARGE",
        "red",
        "umbrella",
        ",",
        "to",
        "the",
        "left",
        "of",
        "a",
        "small",
        "café",
        ".",
    ]


def test_batches_are_padded_with_zero_and_masked(tokenizer):
    batch = tokenizer(["a dog", "a small red dog"], padding=True)
    assert batch["input_ids"][0][-2:] == [0, 0]
    assert batch["attention_mask"] == [[1, 1, 1, 1, 0, 0], [1] * 6]


# "[" is left out: like BERT's own, the tokenizer reads a written "[SEP]" as the special token.
@given(
    st.text(
        alphabet=string.ascii_letters + string.digits + string.punctuation.replace("[", "") + " ", max_size=60
    )
)
def test_ascii_is_never_unknown_and_survives_decoding(text):
    tokenizer = load_tokenizer("loupe")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    pieces = tokenizer.convert_ids_to_tokens(ids)
    assert "[UNK]" not in pieces
    # A "#" of the text is a piece of its own; leaving it out tells it from the mark of a continued word.
    assert "".join(pieces).replace("#", "") == text.lower().replace(" ", "").replace("#", "")


def test_a_saved_folder_is_a_tokenizer_name(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = load_tokenizer(str(tmp_path))
    assert again(CAPTION)["input_ids"] == tokenizer(CAPTION)["input_ids"]
    assert again.is_fast


def test_what_cannot_be_loaded_is_one_clear_line(tmp_path):
    for name in [str(tmp_path / "absent"), str(tmp_path), "nobody/such-a-tokenizer"]:
        with pytest.raises(InputError) as raised:
            load_tokenizer(name)
        message = str(raised.value)
        assert repr(name) in message
        assert "tokenizer=loupe" in message
        assert "\n" not in message


def test_text_it_never_saw_is_covered(tokenizer, shared_data):
    """Held-out sentences: hardly an unknown word, and few pieces a word (punctuation counts as pieces)."""
    sentences = list(treebank_sentences(shared_data / "treebank" / "en_ewt-dev.conllu"))
    ids = [number for row in tokenizer(sentences, add_special_tokens=False)["input_ids"] for number in row]
    words = sum(len(sentence.split()) for sentence in sentences)
    assert len(sentences) > 1500
    assert ids.count(tokenizer.unk_token_id) / len(ids) < 0.001
    assert len(ids) / words < 1.6
