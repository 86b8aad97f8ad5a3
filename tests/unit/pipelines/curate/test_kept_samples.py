"""Samples of a curated shard: keys, records, phrases found once, and counts of licences and domains."""

import json

import pytest
import xxhash
from curation import judged, scanned
from raw_shards import CAPTION, pairs, picture, write_tar

from pipelines.curate import kept_samples as module
from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.kept_samples import OTHER, Part, Phrases, Written, kept_samples, phrases_in
from pipelines.phrases.config import PhrasesConfig
from pipelines.shards.record import Phrase, read_phrases
from pipelines.shards.writer import write_shard

CONFIG = CurateConfig(min_side=64)


@pytest.fixture
def parsed(monkeypatch):
    """Captions that the parser was given; it finds the first word of each."""
    given: list[str] = []

    def find(captions):
        given.extend(captions)
        return [[(0, len(caption.split()[0]))] for caption in captions]

    monkeypatch.setattr(module, "parser", lambda config: find)
    return given


def parts_of(folder, shards: dict) -> list[Part]:
    for name, members in shards.items():
        write_tar(folder / f"{name}.tar", members)
    found = [scanned(unit, CONFIG) for unit in find_units(str(folder))]
    return [Part(scores, judged(scores, CONFIG)) for scores in found]


def record(contents: dict) -> dict:
    name = next(name for name in contents if name.lower() == "json")
    return json.loads(contents[name])["loupe"]


def test_keys_are_in_order_within_each_shard_and_one_that_is_taken_gets_its_shards_name(tmp_path):
    two = {"b.jpg": picture(), "b.txt": CAPTION, "a.jpg": picture(50, 50), "a.txt": CAPTION}
    one = {**two, "a.jpg": picture(), "b_x_1.jpg": picture(), "b_x_1.txt": CAPTION}
    parts, written = parts_of(tmp_path, {"w": one, "x.1": two, "y": two}), Written()
    keys = [key for key, _ in kept_samples(parts, Phrases(None), written)]
    assert keys == ["a", "b", "b_x_1", "b_x_1_", "b_y"]  # the second `a` is too small: nothing to rename
    assert written.renamed == {("x.1", "b"): "b_x_1_", ("y", "b"): "b_y"}


def test_the_record_is_of_the_raw_shard_that_the_sample_came_from(tmp_path):
    parts = parts_of(tmp_path, {"0": pairs(1), "1": pairs(1)})
    records = [record(contents) for _, contents in kept_samples(parts, Phrases(None), Written())]
    assert [one["source"]["shard"] for one in records] == ["0.tar", "1.tar"]
    facts = parts[0].scores.facts.to_pylist()[0]
    assert records[0]["hashes"]["image"] == facts["image_hash"].hex()
    assert records[0]["hashes"]["caption"] == facts["caption_hash"].hex()
    assert records[0]["image"] == {name: facts[name] for name in ("width", "height", "format")}


def test_each_distinct_caption_of_the_shard_is_parsed_once(tmp_path, parsed):
    members = {f"{key}.jpg": picture() for key in "abc"}
    members |= {"a.txt": "one red dog", "b.txt": "two red dogs", "c.txt": "one red dog"}
    parts = parts_of(tmp_path, {"0": members, "1": members})
    samples = list(kept_samples(parts, Phrases(PhrasesConfig()), Written()))
    assert sorted(parsed) == ["one red dog", "two red dogs"]
    texts = [record(contents)["phrases"][0]["text"] for _, contents in samples]
    assert texts == ["one", "two", "one"] * 2


def test_phrases_of_a_curated_shard_are_taken_over(tmp_path, parsed):
    parts = parts_of(tmp_path / "raw", {"0": pairs(2)})
    write_shard(tmp_path / "0.tar", kept_samples(parts, Phrases(PhrasesConfig()), Written()))
    known = phrases_in(str(tmp_path / "0.tar"))
    assert set(known) == set(parts[0].scores.facts.column("caption_hash").to_pylist())
    assert {phrase.text for phrases in known.values() for phrase in phrases} == {"a"}
    parsed.clear()
    again = list(kept_samples(parts, Phrases(PhrasesConfig(), known), Written()))
    assert parsed == []
    assert [read_phrases(json.loads(contents["json"])) for _, contents in again] == list(known.values())


def test_phrases_are_carried_on_only_where_none_are_found_anew(tmp_path, parsed):
    members = pairs(1)
    hashes = {"caption": xxhash.xxh3_128(members["ok00000.txt"].encode()).hexdigest()}
    earlier = {"hashes": hashes, "phrases": [{"text": "a brown", "start": 0, "end": 7}]}
    parts = parts_of(tmp_path, {"0": members | {"ok00000.json": json.dumps({"loupe": earlier})}})
    for phrases, text in ((Phrases(None), "a brown"), (Phrases(PhrasesConfig()), "a")):
        ((_, contents),) = kept_samples(parts, phrases, Written())
        assert record(contents)["phrases"][0]["text"] == text


def test_without_a_parser_no_caption_has_phrases():
    assert Phrases(None, {b"1": (Phrase("a", 0, 1),)}).of([b"1", b"2"], ["a", "b"]) == [(), ()]


def test_licences_and_domains_are_counted_and_too_many_names_together(tmp_path, monkeypatch):
    members = pairs(5)
    metadata = [
        {"license": "CC0", "url": "https://a.example/1.jpg"},
        {"licence": "CC0", "url": "http://u:p@A.example:80/2.jpg"},
        {"license": "MIT", "url": "//["},
        {"license": 7, "url": "https://b.example"},
        {"license": "BSD", "url": None},
    ]
    for number, values in enumerate(metadata):
        members[f"ok{number:05d}.json"] = json.dumps(values)
    parts, written = parts_of(tmp_path, {"0": members}), Written()
    list(kept_samples(parts, Phrases(None), written))
    assert (written.licences, written.domains) == (
        {"CC0": 2, "MIT": 1, "BSD": 1},
        {"a.example": 2, "b.example": 1},
    )
    monkeypatch.setattr(module, "MOST_NAMES", 1)
    written = Written()
    list(kept_samples(parts, Phrases(None), written))
    assert written.licences == {"CC0": 2, OTHER: 2}
