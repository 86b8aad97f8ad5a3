"""What rows meet as duplicates, and what is made of rows that met. The rule's own test has the referee."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from pipelines.curate.corpus.corpus import DROPS, Rows
from pipelines.curate.corpus.duplicates import COLUMNS, DropRepeats, DropWidespread, Of, SelectHashes


def rows_of(captions: list[bytes], images: list[bytes]) -> Rows:
    columns = {
        "caption_key": pa.array(captions, pa.binary(16)),
        "image_hash": pa.array(images, pa.binary(16)),
    }
    return Rows(3, "s", np.arange(len(captions)), pa.table(columns))


def digest(draw: np.random.Generator) -> bytes:
    """One of 8, which differ in any of their bits."""
    return int(draw.choice([0, 1, 1 << 63, 1 << 64, 3 << 64, 1 << 127, 1 << 40, 1 << 100])).to_bytes(16)


@pytest.mark.parametrize("of", list(COLUMNS))
def test_rows_have_equal_columns_just_where_the_hashes_are_equal(of: Of) -> None:
    draw = np.random.default_rng(0)
    captions, images = ([int(draw.integers(4)).to_bytes(16) for _ in range(60)] for _ in range(2))
    captions += [number.to_bytes(16) for number in (1 << 63, 1 << 64, 1 << 127, 1 << 40)]
    images += [number.to_bytes(16) for number in (1 << 40, 1 << 127, 1 << 64, 1 << 63)]
    table = SelectHashes(of)(rows_of(captions, images))
    assert table["key"].type == pa.uint64()
    assert table["rank"].to_pylist() == [3 * 2**32 + row for row in range(len(captions))]
    made = list(zip(*(table[name].to_pylist() for name in table.column_names if name != "rank"), strict=True))
    asked = {"caption": captions, "image": images, "both": list(zip(captions, images, strict=True))}[of]
    assert len(set(made)) == len(set(asked)) == len(set(zip(made, asked, strict=True)))


def test_captions_with_many_images_do_not_all_meet_for_both() -> None:
    draw = np.random.default_rng(0)
    images = [draw.bytes(16) for _ in range(500)]
    keys = SelectHashes("both")(rows_of([bytes(16)] * 500, images))["key"].to_numpy()
    assert len(np.unique(keys)) == 500
    assert np.bincount((keys % 4).astype(int)).min() > 80


def test_rows_of_one_key_that_differ_elsewhere_are_no_duplicates() -> None:
    table = pa.table(
        {
            "key": pa.array([7, 7, 7, 7], pa.uint64()),
            "rank": pa.array([40, 10, 30, 20], pa.int64()),
            "same_0": pa.array([1, 2, 2, 3], pa.uint64()),
        }
    )
    assert DropRepeats(keep_first=True)(table).to_pydict() == {"rank": [30], "other": [10], "value": [2.0]}
    drops = DropRepeats(keep_first=False)(table)
    assert drops.sort_by("rank").to_pydict() == {"rank": [10, 30], "other": [30, 10], "value": [2.0, 2.0]}


def test_distinct_ones_are_counted_by_all_their_bits() -> None:
    table = pa.table(
        {
            "key": pa.array([7] * 5, pa.uint64()),
            "rank": pa.array([-9, 1, 2, 3, 4], pa.int64()),
            "same_0": pa.array([1] * 5, pa.uint64()),
            "counted_0": pa.array([5, 5, 5, 5, 6], pa.uint64()),
            "counted_1": pa.array([1, 1, 2, 1, 1], pa.uint64()),
        }
    )
    assert DropWidespread(3)(table).num_rows == 0
    drops = DropWidespread(2)(table).sort_by("rank").to_pydict()
    assert drops == {"rank": [1, 2, 3, 4], "other": [-9] * 4, "value": [3.0] * 4}


@pytest.mark.parametrize("reduce", [DropRepeats(True), DropRepeats(False), DropWidespread(1)])
def test_an_empty_partition_drops_nothing(reduce: DropRepeats | DropWidespread) -> None:
    table = SelectHashes("caption", "image_hash")(rows_of([], []))
    assert reduce(table).schema.equals(DROPS)
    assert reduce(table).num_rows == 0
