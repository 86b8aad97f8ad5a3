"""Captions and metadata that parsers choke on, or that show nothing."""

import json
import time

import pytest
from curation import bad_of, judged, kept_keys, pairs_of, rejected
from curation import scanned as scan_for
from raw_shards import CAPTION, pairs, picture, write_tar

from data_filters.phrases import load_extractor
from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units


def scanned(folder, members):
    write_tar(folder / "0.tar", members)
    return scan_for(find_units(str(folder))[0])


def test_captions_that_show_nothing_have_few_words(tmp_path):
    captions = [
        "\u200b \u200b \u200b",
        "\x01 \x02 \x03",
        "\u202e \u202d \ufeff",
        "\0 \0 \0",
        "\u00ad \u00ad \u00ad",
    ]
    captions += ["\u0301 \u0302 \u0303", "\u3164 \u2800 \uffa0", "\ue000 \ue001 \ue002"]
    members = pairs(1)
    for number, caption in enumerate(captions):
        members |= {f"{number}.jpg": picture(), f"{number}.txt": caption}
    found = scanned(tmp_path, members)
    config = CurateConfig(min_side=64)
    decision = judged(found, config)
    assert kept_keys(found, decision) == ["ok00000"]
    assert {reason for _, reason in rejected(found, decision, config)} == {"few_words"}


def test_spam_costs_the_parser_milliseconds():
    extract = load_extractor()
    extract(["a dog"])
    marks = ["!", "\u2603", "\U0001f600", "\u2014", "! ", "a-", "(!", "'"]
    captions = ["best price now" + mark * (3900 // len(mark)) for mark in marks]
    began = time.process_time()
    found = extract(captions)
    assert time.process_time() - began < 1.5  # 8 captions; before, one took 3 s
    assert all(
        caption[start:end].strip()
        for caption, spans in zip(captions, found, strict=True)
        for start, end in spans
    )


@pytest.mark.parametrize("depth", [101, 880, 950, 100_000])
def test_metadata_nested_too_deep_is_set_aside(tmp_path, depth):
    text = '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"
    found = scanned(tmp_path, {"a.jpg": picture(), "a.txt": CAPTION, "a.json": text})
    assert pairs_of(found) == []
    assert bad_of(found)[0]["reason"] == "metadata_not_json"
    assert "nested deeper than 100 levels" in bad_of(found)[0]["exception"]


@pytest.mark.parametrize(
    ("caption", "said"),
    [(["a", "b"], "a list"), (3.5, "a number"), (None, "null"), (float("nan"), "NaN"), ({}, "an object")],
)
def test_captions_of_another_type_are_named(tmp_path, caption, said):
    found = scanned(tmp_path, {"k.jpg": picture(), "k.json": json.dumps({"caption": caption})})
    assert bad_of(found)[0]["reason"] == "no_caption"
    assert f"caption in k.json is {said}; expected text" in bad_of(found)[0]["exception"]
