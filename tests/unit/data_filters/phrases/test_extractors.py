"""The way in: extract_phrases and the table behind it."""

import subprocess
import sys

import pytest

from data_filters.errors import InputError
from data_filters.phrases import EXTRACTORS, extract_phrases, load_extractor


def phrases(caption: str, **options) -> list[str]:
    return [caption[start:end] for start, end in extract_phrases([caption], **options)[0]]


def test_the_papers_example():
    caption = "A girl in a blue coat is standing next to a white horse."
    assert phrases(caption) == ["A girl in a blue coat", "A girl", "a blue coat", "a white horse"]
    assert phrases(caption, level="base") == ["A girl", "a blue coat", "a white horse"]
    assert phrases(caption, keep_determiners=False, level="base") == ["girl", "blue coat", "white horse"]


def test_one_list_a_caption_in_their_order():
    found = extract_phrases(["a dog", "", "two cats on a sofa"])
    assert [len(spans) for spans in found] == [1, 0, 3]
    assert extract_phrases([]) == []


@pytest.mark.parametrize(
    "caption",
    [
        "",
        " \n\t ",
        "!!! ... ---",
        "running very quickly",
        "🙂🙃",
        "\ud83d",
        "\x00\x01\u200b",
        "\u202b",
        "it",
        "a photo",
    ],
)
def test_a_caption_that_names_nothing_gives_an_empty_list(caption):
    assert extract_phrases([caption], max_phrases=None) == [[]]


@pytest.mark.parametrize(
    "caption",
    [
        "a 🐶 dog 🏠 beside a red 🚗 car 👨‍👩‍👧‍👦",
        "صورة كلب أحمر بجانب سيارة",
        "כלב אדום ליד מכונית",
        "一只红色的雨伞",
        "a café\u0301 table with a \u200bcup",
        "<a href='x'>a dog</a> #dog @dog http://dog.example/dog.jpg",
        "\ud83d a red dog \udc00",
        "a" * 5000,
        "((((((((((((((((a dog",
    ],
)
def test_odd_text_gives_spans_within_it(caption):
    (spans,) = extract_phrases([caption])
    assert all(0 <= start < end <= len(caption) for start, end in spans)
    assert all(caption[start:end] == caption[start:end].strip() for start, end in spans)
    assert spans == sorted(spans, key=lambda span: (span[0], -span[1]))
    assert len(set(spans)) == len(spans)


def test_emoji_do_not_shift_the_offsets():
    caption = "🙂🙂🙂 a red umbrella 👨‍👩‍👧‍👦 beside a small dog"
    assert {"a red umbrella", "a small dog"} <= set(phrases(caption, level="base"))


def test_ten_thousand_words():
    caption = "a red umbrella beside a small dog. " * 1500
    assert len(caption.split()) > 10_000
    assert len(extract_phrases([caption])[0]) == 12
    many = extract_phrases([caption], max_phrases=None, max_characters=len(caption))[0]
    assert len(many) > 2900


def test_a_phrase_at_the_end_of_what_is_read_is_dropped_not_halved():
    caption = "a small dog beside a large red umbrella stand"
    for limit in range(1, len(caption) + 1):
        for start, end in extract_phrases([caption], level="base", max_characters=limit)[0]:
            assert caption[start:end] in ("a small dog", "a large red umbrella stand"), limit
            assert end < limit or limit == len(caption)


def test_unknown_names_are_said_with_the_known_ones(tmp_path):
    with pytest.raises(
        InputError, match=r"phrases\.extractor is 'chunks'; known are noun_chunks, constituency"
    ):
        load_extractor("chunks")
    with pytest.raises(InputError, match=r"phrases\.model is 'en_no_such'.*set phrases\.model"):
        extract_phrases(["a dog"], model="en_no_such")
    with pytest.raises(InputError, match=r"phrase options are \['leven'\]; known are level"):
        extract_phrases(["a dog"], leven="base")
    assert list(EXTRACTORS) == ["noun_chunks", "constituency"]


def test_any_pipeline_by_path_needs_a_parser(tmp_path):
    import spacy

    from data_filters.phrases.noun_chunks import DEFAULT_MODEL

    assert extract_phrases(["a red dog"], model=str(DEFAULT_MODEL)) == [[(0, 9)]]
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(InputError, match="a parser is needed"):
        extract_phrases(["a dog"], model=str(tmp_path / "blank"))


def test_components_that_no_phrase_needs_do_not_run(tmp_path):
    import spacy

    from data_filters.phrases.noun_chunks import DEFAULT_MODEL, NounChunks

    nlp = spacy.load(DEFAULT_MODEL)
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "DOG", "pattern": "dog"}])
    nlp.add_pipe("sentencizer", first=True)
    nlp.to_disk(tmp_path / "more")
    extractor = NounChunks(str(tmp_path / "more"))
    assert extractor.nlp.pipe_names == ["tok2vec", "morphologizer", "parser"]
    assert not extractor.nlp("a dog").ents


def test_importing_the_room_loads_no_parser_and_no_ray():
    code = (
        "import sys, data_filters.phrases; "
        "print([name for name in ('spacy', 'torch', 'ray', 'benepar') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
