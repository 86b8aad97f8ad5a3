"""Both scores against stock calls one pair at a time; batches, bands, NaN and broken weights."""

import pickle
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from curation import scanned
from pictures import look_pictures, opened
from raw_shards import pairs, write_tar
from tiny_matching import ENCODE, counted_calls, tiny_matching, tiny_model
from transformers import AutoImageProcessor, AutoTokenizer, BlipForImageTextRetrieval

from data_filters.matching import MatchingSettings, write_settings
from pipelines.curate.look.band import Band
from pipelines.curate.look.group import fault_column
from pipelines.curate.look.look import look, looks_or_empty, still_wanted
from pipelines.curate.look.matching import matching_group
from pipelines.shards.unit import Unit

CAPTIONS = (
    "a red cat",
    "the dog runs across the green field " * 9,
    "a",
    "the cat sleeps below a red chair " * 2,
)
PAIRS = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_matching(tmp_path_factory.mktemp("blip"), tokens=40)


def group_of(folder: str, band: Band | None = None, name: str = "", precision: str = "fp32"):
    return matching_group(folder, name, precision, band)


def stock(folder: str, pictures, first_token: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Two calls of the stock model for each pair alone."""
    model = BlipForImageTextRetrieval.from_pretrained(folder).eval()
    processor, tokenizer = AutoImageProcessor.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    itc, itm = [], []
    for picture, image in zip(pictures, opened(pictures), strict=True):
        inputs = processor(image, return_tensors="pt")
        text = tokenizer(picture.facts.caption, truncation=True, max_length=40, return_tensors="pt")
        text = {name: text[name] for name in ("input_ids", "attention_mask")}
        with torch.no_grad():
            itc.append(float(model(**inputs, **text, use_itm_head=False).itm_score))
            if first_token is not None:
                text["input_ids"][:, 0] = tokenizer.convert_tokens_to_ids(first_token)
            itm.append(float(model(**inputs, **text).itm_score.softmax(-1)[0, 1]))
    return np.array(itc), np.array(itm)


def test_scores_are_those_of_stock_calls(folder):
    group = pickle.loads(pickle.dumps(group_of(folder)))
    pictures = look_pictures(10, CAPTIONS)
    found = group.measure(pictures)
    assert found.schema.names == ["itc", "itm", "caption_cut"]
    assert found.schema == group.schema()
    itc, itm = stock(folder, pictures)
    assert np.ptp(itc) > 0.1
    assert np.ptp(itm) > 0.1
    np.testing.assert_allclose(found.column("itc"), itc, atol=1e-5)
    np.testing.assert_allclose(found.column("itm"), itm, atol=1e-5)
    assert found.column("caption_cut").to_pylist() == [False, True, False, False] * 2 + [False, True]


def test_the_first_token_is_the_one_that_lies_beside_the_weights(folder, tmp_path):
    marked = tiny_matching(tmp_path / "marked", tokens=40)
    assert group_of(marked).settings() == group_of(folder).settings()
    write_settings(marked, MatchingSettings(ENCODE, 0.07))
    group, pictures = group_of(marked), look_pictures(4, CAPTIONS)
    assert group.settings()["first_token"] == ENCODE
    assert group.settings()["model_sha256"] != group_of(folder).settings()["model_sha256"]
    itc, itm = stock(marked, pictures, ENCODE)
    np.testing.assert_allclose(group.measure(pictures).column("itm"), itm, atol=1e-5)
    np.testing.assert_allclose(group.measure(pictures).column("itc"), itc, atol=1e-5)
    assert not np.allclose(itm, stock(marked, pictures)[1], atol=1e-3)


def test_a_score_does_not_depend_on_the_batch(folder):
    group, pictures = group_of(folder), look_pictures(32, CAPTIONS)
    whole = group.measure(pictures).to_pylist()
    for size in (1, 7):
        parts = [group.measure(pictures[start : start + size]) for start in range(0, 32, size)]
        assert [row for part in parts for row in part.to_pylist()] == whole
    order = sorted(range(32), key=lambda row: len(pictures[row].facts.caption))
    by_length = group.measure([pictures[row] for row in order]).to_pylist()
    assert by_length == [whole[row] for row in order]


def test_bf16_is_near_and_says_so(folder):
    pictures = look_pictures(4, CAPTIONS)
    group = group_of(folder, precision="bf16")
    plain, rounded = (one.measure(pictures).column("itc").to_numpy() for one in (group_of(folder), group))
    assert 0 < np.abs(plain - rounded).max() < 0.05
    assert group.settings()["precision"] == "bf16"
    assert group.settings()["image_size"] == 32


def test_names_tell_models_apart(folder):
    group = group_of(folder, name="blip_l")
    assert group.name == "matching-blip_l"
    assert group.schema().names == ["blip_l_itc", "blip_l_itm", "blip_l_caption_cut"]
    assert group_of(folder).name == "matching"


def shard(tmp_path):
    path = write_tar(tmp_path / "in" / "0.tar", pairs(PAIRS))
    return scanned(Unit("0", str(path), path.stat().st_size))


@pytest.fixture
def shown(monkeypatch):
    """The pairs that the model was asked about: of each call of the image encoder, and of the matching head."""
    return counted_calls(monkeypatch)


def looked(scores, group, table=None, batch: int = 4) -> pa.Table:
    tables = looks_or_empty(scores, [group]) if table is None else {group.name: table}
    return look(scores, tables, [group], np.arange(PAIRS), batch).get(group.name, tables[group.name])


def test_a_band_of_itc_saves_the_grounded_pass_and_another_band_leaves_scores_valid(folder, tmp_path, shown):
    scores, plain = shard(tmp_path), group_of(folder)
    every = looked(scores, plain)
    low, high = np.sort(every.column("itc").to_numpy())[[2, 6]].tolist()
    shown.update(images=0, itm=0)
    banded = group_of(folder, Band("itc", low, high, 0.0))
    assert banded.settings() == plain.settings()
    table = looked(scores, banded)
    assert shown == {"images": 9, "itm": 5}
    itc = every.column("itc").to_numpy()
    is_inside = (itc >= low) & (itc <= high)
    assert table.column("itc").equals(every.column("itc"))
    assert table.column("itm").is_valid().to_pylist() == is_inside.tolist()
    assert looked(scores, banded, table) is table  # nothing is lacking
    shown.update(images=0, itm=0)
    assert looked(scores, plain, table).equals(every)  # without the band the four others are looked at
    assert shown == {"images": 4, "itm": 4}
    whole = replace(banded, band=Band("itc", low, high, 1.0))
    assert looked(scores, whole).equals(every)  # all are in the sample


def test_a_sample_is_told_by_the_image(folder, tmp_path):
    scores = shard(tmp_path)
    hashes = scores.facts.column("image_hash").to_pylist()
    half = Band("itc", 2.0, None, 0.5)  # everything lies below
    sampled = half.sampled(hashes)
    assert 0 < sampled.sum() < PAIRS
    table = looked(scores, group_of(folder, half))
    assert table.column("itm").is_valid().to_pylist() == sampled.tolist()
    many = [np.random.default_rng(seed).bytes(16) for seed in range(4000)]
    assert 0.46 < half.sampled(many).mean() < 0.54


def test_a_nan_is_set_aside(folder, tmp_path):
    model = tiny_model(tokens=40)
    words = model.text_encoder.embeddings.word_embeddings.weight
    torch.nn.init.constant_(words[6:7].detach(), float("nan"))  # `cat`
    broken = tiny_matching(tmp_path / "nan", model, tokens=40)
    members = pairs(PAIRS)
    members["ok00003.txt"] = "a cat sleeps below the red chair"
    path = write_tar(tmp_path / "in" / "0.tar", members)
    scores, group = scanned(Unit("0", str(path), path.stat().st_size)), group_of(broken)
    table = looked(scores, group)
    faults = table.column(fault_column(group)).to_pylist()
    assert [fault is not None for fault in faults] == [row == 3 for row in range(PAIRS)]
    assert faults[3].startswith("nan_score: it")
    assert table.column("itm").is_valid().to_pylist() == [row != 3 for row in range(PAIRS)]
    assert len(still_wanted(scores, {group.name: table}, group, np.arange(PAIRS))) == 0
