"""Phrases land in `loupe.phrases` and nothing else changes."""

from data_filters.phrases import load_extractor
from data_filters.sample import Sample
from pipelines.phrases.records import annotate

EXTRACT = load_extractor()


def sample(key: str, caption: str | None, metadata: dict | None = None) -> Sample:
    return Sample(key, b"image", "jpg", caption, metadata, {"cls": b"7"})


def test_spans_point_at_their_text():
    caption = "A girl in a blue coat."
    (done,) = annotate([sample("a", caption, {"caption": caption, "loupe": {"scores": {"x": 1}}})], EXTRACT)
    phrases = done.metadata["loupe"]["phrases"]
    assert [phrase["text"] for phrase in phrases] == ["A girl in a blue coat", "A girl", "a blue coat"]
    assert all(caption[phrase["start"] : phrase["end"]] == phrase["text"] for phrase in phrases)
    assert done.metadata["loupe"]["scores"] == {"x": 1}
    assert (done.image, done.caption, done.extras) == (b"image", caption, {"cls": b"7"})


def test_the_samples_given_are_not_changed_and_old_phrases_are_replaced():
    given = sample("a", "a red dog", {"loupe": {"phrases": [{"text": "old", "start": 0, "end": 3}]}})
    (done,) = annotate([given], EXTRACT)
    assert given.metadata["loupe"]["phrases"][0]["text"] == "old"
    assert done.metadata["loupe"]["phrases"] == [{"text": "a red dog", "start": 0, "end": 9}]


def test_samples_without_caption_or_metadata():
    done = list(
        annotate([sample("a", None), sample("b", "two cats"), sample("c", "", {"loupe": "odd"})], EXTRACT, 2)
    )
    assert [one.key for one in done] == ["a", "b", "c"]
    assert [len(one.metadata["loupe"]["phrases"]) for one in done] == [0, 1, 0]


def test_samples_are_taken_batch_by_batch():
    taken = []

    def endless():
        for number in range(10_000):
            taken.append(number)
            yield sample(str(number), "a dog")

    next(annotate(endless(), EXTRACT, batch=4))
    assert len(taken) == 4
