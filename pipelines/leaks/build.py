"""Builds a leak index: reads and hashes the samples of all inputs, in several processes, and writes one file."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from data_filters import pdq, perceptual_hash
from data_filters.errors import InputError
from data_filters.hashes import caption_key, xxh3
from data_filters.sample import BrokenSample, sample_from_members
from pipelines.common.files import absolute
from pipelines.leaks.index import SCHEMA, LeakIndex, write_index
from pipelines.leaks.inputs import BATCH, Batch, Found, is_index, list_batches

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class IndexSummary:
    """What an index holds; `undecodable` pictures are found by their bytes alone, as those of low quality are."""

    output: str
    sha256: str
    entries: int
    pictures: int
    undecodable: int
    low_quality: int
    captions: int
    unreadable_captions: int
    seconds: float


def build_index(
    inputs: Sequence[str], output: str, *, workers: int | None = None, progress: Progress | None = None
) -> IndexSummary:
    """Hash all samples of the inputs and write the index.

    Raises InputError in one line: an input has no pictures, is damaged, or no picture of all decodes.
    """
    started = time.monotonic()
    batches: dict[Batch, None] = {}  # each once, where an input is given twice
    sources: set[str] = set()
    others: list[LeakIndex] = []
    for uri in inputs:
        if is_index(uri):
            others.append(LeakIndex.load(uri))
            sources.update(others[-1].sources)
        else:
            batches.update(dict.fromkeys(list_batches(uri)))
            sources.add(absolute(uri))
    tables, unreadable = [SCHEMA.empty_table(), *(index.table for index in others)], 0
    with _mapped(list(batches), workers or _usable_cpus()) as results:
        for done, (table, bad_captions) in enumerate(results, start=1):
            tables.append(table)
            unreadable += bad_captions
            if progress:
                progress(min(done * BATCH, len(batches) * BATCH), len(batches) * BATCH)
    rows = pa.concat_tables(tables)
    _require_pictures(rows, inputs)
    digest = write_index(output, rows, sorted(sources))
    return _summary(LeakIndex.load(output).table, output, digest, unreadable, time.monotonic() - started)


def hash_batch(batch: Batch) -> tuple[pa.Table, int]:
    """The rows of some samples, and how many of their captions cannot be read."""
    samples = [found for found in batch.read() if found.picture is not None or found.members]
    thumbnails = [_thumbnail(found.picture) for found in samples]
    captions = [_caption(found) for found in samples]
    there = [number for number, thumbnail in enumerate(thumbnails) if thumbnail is not None]
    hashes: list[bytes | None] = [None] * len(samples)
    qualities: list[int | None] = [None] * len(samples)
    if there:
        grids = np.stack([thumbnail for thumbnail in thumbnails if thumbnail is not None])
        eight, quality = perceptual_hash.hash_orientations(grids)
        for number, each, value in zip(there, eight, quality, strict=True):
            hashes[number], qualities[number] = each.tobytes(), int(value)
    table = pa.table(
        [
            pa.array([found.source for found in samples], pa.string()),
            pa.array([found.key for found in samples], pa.string()),
            pa.array([found.offset for found in samples], pa.int64()),
            pa.array([found.length for found in samples], pa.int64()),
            pa.array([None if f.picture is None else xxh3(f.picture) for f in samples], pa.binary(16)),
            pa.array([None if not text else caption_key(text) for text, _ in captions], pa.binary(16)),
            pa.array(hashes, SCHEMA.field("pdq").type),
            pa.array(qualities, pa.int16()),
        ],
        schema=SCHEMA,
    )
    return table, sum(bad for _, bad in captions)


def _thumbnail(picture: bytes | None) -> pdq.Floats | None:
    with contextlib.suppress(BrokenSample):
        return None if picture is None else perceptual_hash.read_thumbnail(picture)
    return None


def _caption(found: Found) -> tuple[str | None, bool]:
    """The caption of a sample, and whether it has one that cannot be read."""
    try:
        text = sample_from_members(found.key, found.members).caption
    except BrokenSample:
        return None, True
    return (text if text and text.strip() else None), False


@contextlib.contextmanager
def _mapped(batches: list[Batch], workers: int) -> Iterator[Iterator[tuple[pa.Table, int]]]:
    """The results of all batches, in their order; a few batches are not worth starting processes for."""
    if workers < 2 or len(batches) < 4:
        yield map(hash_batch, batches)
        return
    # Spawned: a forked process would inherit the locks of whatever threads run here.
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool.map(hash_batch, batches)
        finally:
            pool.shutdown(cancel_futures=True)


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _require_pictures(rows: pa.Table, inputs: Sequence[str]) -> None:
    pictures = rows.num_rows - rows["image_hash"].null_count
    if rows.num_rows == rows["pdq"].null_count:
        what = "hold no picture" if not pictures else f"hold {pictures} pictures of which none decodes"
        raise InputError(f"inputs {', '.join(inputs)} {what}; give shards or folders with pictures")


def _summary(rows: pa.Table, output: str, sha256: str, unreadable: int, seconds: float) -> IndexSummary:
    quality = rows["pdq_quality"].drop_null().to_numpy()
    pictures = rows.num_rows - rows["image_hash"].null_count
    return IndexSummary(
        output=output,
        sha256=sha256,
        entries=rows.num_rows,
        pictures=pictures,
        undecodable=pictures - len(quality),
        low_quality=int((quality < perceptual_hash.LOWEST_QUALITY).sum()),
        captions=rows.num_rows - rows["caption_key"].null_count,
        unreadable_captions=unreadable,
        seconds=round(seconds, 3),
    )
