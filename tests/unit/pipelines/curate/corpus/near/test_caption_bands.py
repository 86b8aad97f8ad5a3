import numpy as np
import pyarrow as pa

from pipelines.curate.corpus.corpus import Rows
from pipelines.curate.corpus.near.caption_bands import BandsOfCaptions, KeysOfCaptions, sets_of
from pipelines.curate.corpus.near.minhash_bands import MinHashBands

SETS = [[1], [], [10, 20, 30, 40, 50, 60], [7, 8], [60, 50, 40, 30, 20, 10], [7, 8]]
COLUMN = pa.array([sorted(one) for one in SETS], pa.list_(pa.uint64()))
BANDS = MinHashBands(5, 2, 0)


def rows(table: pa.Table) -> Rows:
    return Rows(3, "00003", np.arange(len(table), dtype=np.int64), table)


def test_sets_of_a_slice_in_chunks_are_those_of_its_rows() -> None:
    table = pa.table({"word_set": pa.chunked_array([COLUMN[1:3], COLUMN[5:]])})
    sets = sets_of(table)
    assert [sets.words[a:b].tolist() for a, b in zip(sets.ends, sets.ends[1:], strict=False)] == [
        [],
        SETS[2],
        [7, 8],
    ]
    assert sets_of(table.slice(1, 1)).words.tolist() == SETS[2]


def test_copies_and_small_sets_have_one_row_and_captions_without_a_word_none() -> None:
    table = BandsOfCaptions(BANDS, 0.8)(rows(pa.table({"word_set": COLUMN})))
    assert np.bincount(table["rank"].to_numpy() & 0xFFFFFFFF, minlength=6).tolist() == [1, 0, 5, 1, 1, 1]
    small = BandsOfCaptions(BANDS, 0.5)(rows(pa.table({"word_set": COLUMN})))
    assert np.bincount(small["rank"].to_numpy() & 0xFFFFFFFF, minlength=6).tolist() == [5, 0, 5, 5, 1, 1]


def test_keys_alone_are_those_of_the_rows() -> None:
    shard = rows(pa.table({"word_set": COLUMN}))
    keys = KeysOfCaptions(BANDS, 0.8)(shard)
    assert keys.column_names == ["key"]
    assert keys["key"] == BandsOfCaptions(BANDS, 0.8)(shard)["key"]
