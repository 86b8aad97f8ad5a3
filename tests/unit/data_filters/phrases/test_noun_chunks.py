from data_filters.phrases import PhraseOptions
from data_filters.phrases.noun_chunks import NounChunks, load_pipeline, parse, readable, without_spam


def test_text_stays_as_long_as_it_was():
    text = "a \ud83d dog é 🙂"
    assert len(readable(text)) == len(text)
    assert readable("a dog é 🙂") == "a dog é 🙂"


def test_long_captions_are_cut_between_words():
    nlp = load_pipeline("default")
    docs = list(parse(nlp, ["a small dog", "x" * 30], PhraseOptions(max_characters=8)))
    assert [(doc.text, limit) for doc, limit in docs] == [("a small", 7), ("x" * 8, 8)]


def test_the_same_captions_give_the_same_spans_in_any_batch():
    captions = [
        f"a {colour} {thing} beside two dogs" for colour in ("red", "blue") for thing in ("car", "hat", "cow")
    ]
    one = NounChunks(options=PhraseOptions(batch_size=1))(captions)
    assert one == NounChunks(options=PhraseOptions(batch_size=4))(captions)
    assert one == [NounChunks()([caption])[0] for caption in captions]


def test_words_met_are_not_kept():
    extractor = NounChunks()
    extractor(["a red umbrella"])
    before = len(extractor.nlp.vocab.strings)
    for i in range(20):
        extractor([f"a zq{i}x{j} beside a vv{j}w{i}" for j in range(20)])
    assert len(extractor.nlp.vocab.strings) - before < 100


def test_spam_is_blanked_where_it_stands_and_the_rest_stays():
    text = "a dog, a red umbrella (on a table)!!! " + "-" * 32 + " " + "x" * 256
    assert without_spam(text, 100) == text
    assert without_spam("now" + "!" * 50 + "a cat", 100) == "now" + "!" * 32 + " " * 18 + "a cat"
    assert without_spam("x-" * 200 + " end", 400) == "x-" * 128 + " " * 144 + " end"
    assert without_spam("one, two, three, four", 2) == "one, two, three"
