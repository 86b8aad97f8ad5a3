"""Phrases from the shard's JSON into the batch, at their own tokens."""

import json

import pytest
import torch

from data_filters.errors import InputError
from data_filters.sample import Sample, sample_from_members
from pretrain.data.order.batch_plan import BatchPlan
from pretrain.data.order.sample_order import SampleOrder
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import Augmentation
from pretrain.data.samples.phrases import phrase_spans
from pretrain.data.samples.preparation import Preparation
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.data.shards.reader import Reader
from pretrain.data.shards.source import open_source
from pretrain.tasks.dual_encoder_config import DualEncoderConfig
from pretrain.training.setup import prepare_run

CAPTION = "a red car beside two old trees"


def members(base: dict[str, bytes], texts: list[str], caption: str = CAPTION) -> dict[str, bytes]:
    """The members of a curated pair whose phrases are `texts`."""
    phrases = [
        {"text": text, "start": caption.index(text), "end": caption.index(text) + len(text)} for text in texts
    ]
    record = {"caption": caption, "loupe": {"phrases": phrases}}
    return base | {"txt": caption.encode(), "json": json.dumps(record).encode()}


def reader(uri: str, max_phrases: int = 0, phrase_share: float = 0.0) -> Reader:
    source = open_source(uri)
    plan = BatchPlan(SampleOrder(source.shard_sizes, 5, 16), 4)
    encode = CaptionEncoder(load_tokenizer("loupe"), 24)
    return Reader(source, plan, Preparation(encode, 16, Augmentation(None), max_phrases, phrase_share))


@pytest.fixture
def data(committed, pair) -> str:
    """Pairs 0 to 7; those of even number carry two phrases."""
    pairs = []
    for number in range(8):
        key, base = pair(number)
        pairs.append((key, members(base, ["a red car", "two old trees"]) if number % 2 == 0 else base))
    return committed([pairs])


def test_phrases_stand_at_their_words(data):
    (batch,) = next(reader(data, max_phrases=3).batches(0, 1))
    assert batch.phrase_tokens.shape == (4, 3, batch.input_ids.shape[1])
    tokenizer = load_tokenizer("loupe")
    for row, key in enumerate(batch.keys):
        if int(key) % 2:
            assert not batch.phrase_mask[row].any()
            assert not batch.phrase_tokens[row].any()
            continue
        assert batch.phrase_mask[row].tolist() == [True, True, False]
        texts = [tokenizer.decode(batch.input_ids[row][where]) for where in batch.phrase_tokens[row]]
        assert texts == ["a red car", "two old trees", ""]


def test_a_phrase_stands_for_its_caption(data):
    decode = load_tokenizer("loupe").decode
    told = set()
    for step, (batch,) in zip(
        range(8), reader(data, max_phrases=2, phrase_share=1.0).batches(0, 8), strict=True
    ):
        assert batch.keys == next(reader(data).batches(step, step + 1))[0].keys
        for row, key in enumerate(batch.keys):
            text = decode(batch.input_ids[row], skip_special_tokens=True)
            if int(key) % 2:  # no phrase could stand for it
                assert not batch.phrase_mask[row].any()
                continue
            told.add(text)
            # It is its own phrase, from the first word to the last; [CLS] and [SEP] do not belong to it.
            words = int(batch.attention_mask[row].sum()) - 2
            assert batch.phrase_mask[row].tolist() == [True, False]
            assert batch.phrase_tokens[row, 0].nonzero().flatten().tolist() == list(range(1, words + 1))
    assert told == {"a red car", "two old trees"}


def test_which_phrase_follows_from_seed_and_place(data):
    first, again, whole = (
        next(reader(data, phrase_share=share).batches(0, 1))[0].input_ids for share in (0.5, 0.5, 0.0)
    )
    assert torch.equal(first, again)
    assert whole.shape[1] >= first.shape[1]


def test_the_first_phrases_are_kept_when_slots_are_few(data):
    (batch,) = next(reader(data, max_phrases=1).batches(0, 1))
    even = [row for row, key in enumerate(batch.keys) if int(key) % 2 == 0]
    text = load_tokenizer("loupe").decode(batch.input_ids[even[0]][batch.phrase_tokens[even[0], 0]])
    assert text == "a red car"


def test_without_slots_there_are_no_phrases(data):
    (batch,) = next(reader(data).batches(0, 1))
    assert batch.phrase_tokens.shape == (4, 0, batch.input_ids.shape[1])
    moved = batch.to(torch.device("cpu"), torch.bfloat16)
    assert moved.phrase_mask.dtype == torch.bool


def test_a_source_says_whether_it_has_phrases(data):
    assert open_source(data).has_phrases()


def test_a_source_without_phrases_says_so(committed, pair):
    assert not open_source(committed([[pair(number) for number in range(8)]])).has_phrases()


@pytest.mark.parametrize(
    "phrase",
    [
        {"text": "a red car", "start": 1, "end": 10},
        {"text": "trees", "start": 25, "end": 99},
        {"text": "car"},
        "a red car",
    ],
)
def test_phrases_of_another_caption_are_an_error(phrase):
    sample = Sample("0", None, None, CAPTION, {"loupe": {"phrases": [phrase]}})
    with pytest.raises(ValueError, match="phrase"):
        phrase_spans(sample)


@pytest.mark.parametrize("metadata", [None, {}, {"loupe": None}, {"loupe": {"phrases": []}}])
def test_no_phrases_are_no_error(metadata):
    assert phrase_spans(Sample("0", None, None, CAPTION, metadata)) == []


def test_curated_json_reads_back():
    sample = sample_from_members("0", members({}, ["two old trees"]))
    assert phrase_spans(sample) == [(17, 30)]


NEEDS_PHRASES = {
    "objectives": {"contrastive": {"weight": 1.0}, "fine_grained": {"weight": 1.0}},
    "data": {"batch_size": 4},
}


def test_an_objective_that_needs_phrases_is_refused_on_data_without(committed, pair, tmp_path):
    uri = committed([[pair(number) for number in range(8)]])
    with pytest.raises(InputError, match="fine_grained need phrases, the first samples of .* hold none"):
        prepare_run(DualEncoderConfig.model_validate(NEEDS_PHRASES), uri, str(tmp_path / "run"))


def test_an_objective_that_needs_phrases_is_accepted_on_data_with(data, tmp_path):
    prepare_run(DualEncoderConfig.model_validate(NEEDS_PHRASES), data, str(tmp_path / "run"))


def test_an_objective_that_needs_phrases_needs_slots(data, tmp_path):
    config = DualEncoderConfig.model_validate(NEEDS_PHRASES | {"data": {"batch_size": 4, "max_phrases": 0}})
    with pytest.raises(InputError, match="data.max_phrases is 0"):
        prepare_run(config, data, str(tmp_path / "run"))
