"""Measure the speed of the reader against a bare decode loop on the same number of cores.

    python tests/bench/reader.py DATA [--size 224] [--cores 1] [--images 2000] [--rounds 5]

The bare loop does only what cannot be left out: it streams the shards from first to last, decodes, crops and resizes
each image, tokenises each caption, and discards the result. It has no random access, no seed per sample, no batches,
no phrases and no threads. On N cores it is N processes, each with its own shards; the reader gets N threads. Rounds of
both alternate, so that a busy machine slows both equally. The table has the median of the rounds, in images per second
of wall time and of processor time; the latter has less of the noise of a shared machine.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
import time
from itertools import chain, cycle, islice

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import simplejpeg
import torch
from PIL import Image
from tokenizers import Tokenizer

from pipelines.shards.manifest import committed_shards
from pipelines.shards.reader import iterate
from pretrain.data.order.batch_plan import BatchPlan
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import Augmentation
from pretrain.data.samples.preparation import Preparation
from pretrain.data.samples.tokenizer import load_tokenizer
from pretrain.data.shards.reader import Reader
from pretrain.data.shards.source import open_source

MAX_TOKENS = 60


def bare_loop(uris: list[str], size: int, images: int) -> tuple[float, float]:
    """Seconds of (wall time, processor time) that the bare loop takes for that many images."""
    engine = Tokenizer.from_str(load_tokenizer("loupe").backend_tokenizer.to_str())
    engine.enable_truncation(MAX_TOKENS)
    generator = np.random.default_rng(0)
    whole = math.ceil(size / math.sqrt(0.5))  # px: the smallest crop is still as large as the result
    samples = chain.from_iterable(iterate(uri) for uri in cycle(uris))
    next(samples)
    wall, processor = time.perf_counter(), time.process_time()
    for _, members in islice(samples, images):
        decoded = simplejpeg.decode_jpeg(
            members["jpg"], "RGB", min_height=whole, min_width=whole, min_factor=1
        )
        height, width = decoded.shape[:2]
        share = generator.uniform(0.5, 1) ** 0.5
        w, h = width * share, height * share
        left, top = generator.uniform(0, width - w), generator.uniform(0, height - h)
        image = Image.fromarray(decoded).resize(
            (size, size), Image.Resampling.BICUBIC, box=(left, top, left + w, top + h)
        )
        np.asarray(image)
        engine.encode(members["txt"].decode())
    return time.perf_counter() - wall, time.process_time() - processor


def bare(data: str, size: int, images: int, cores: int) -> tuple[float, float]:
    """Speed of the bare loop: images per second of (wall time, processor time)."""
    uris = [shard.uri for shard in committed_shards(data)]
    work = [(uris[core::cores] or uris, size, images // cores) for core in range(cores)]
    if cores == 1:
        spent = [bare_loop(*work[0])]
    else:
        with multiprocessing.get_context("fork").Pool(cores) as pool:
            spent = pool.starmap(bare_loop, work)
    return images / max(wall for wall, _ in spent), images / sum(processor for _, processor in spent)


def reader(data: str, size: int, images: int, cores: int, batch: int, phrases: int) -> tuple[float, float]:
    """Speed of the reader with that many threads: images per second of (wall time, processor time)."""
    source = open_source(data)
    encode = CaptionEncoder(load_tokenizer("loupe"), MAX_TOKENS)
    preparation = Preparation(encode, size, Augmentation((0.5, 1.0)), phrases)
    plan = BatchPlan(source.order(0, 16384), batch)
    one = Reader(source, plan, preparation, threads=cores)
    steps = images // batch
    # More steps than are measured, so that the threads always have work. The first step reads indexes and starts
    # threads. What is prepared ahead before the clock starts equals what is prepared ahead before it stops.
    stream = one.batches(0, steps + 1 + 4 * one.prefetch)
    next(stream)
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(steps):
        next(stream)
    spent = time.perf_counter() - wall, time.process_time() - processor
    stream.close()
    return steps * batch / spent[0], steps * batch / spent[1]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data", help="folder of curated shards with JPEG images")
    arguments.add_argument("--size", type=int, default=224, help="image side, px")
    arguments.add_argument("--cores", type=int, default=1)
    arguments.add_argument("--images", type=int, default=2000, help="images per round")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--batch", type=int, default=128)
    arguments.add_argument("--phrases", type=int, default=8, help="slots for phrases per caption")
    given = arguments.parse_args()
    torch.set_num_threads(1)
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: given.cores]))

    rates: dict[str, list[tuple[float, float]]] = {"bare loop": [], "reader": []}
    for _ in range(given.rounds):
        rates["bare loop"].append(bare(given.data, given.size, given.images, given.cores))
        rates["reader"].append(
            reader(given.data, given.size, given.images, given.cores, given.batch, given.phrases)
        )
    medians = {name: tuple(map(statistics.median, zip(*rows, strict=True))) for name, rows in rates.items()}
    print(
        f"{given.data} at {given.size} px, {given.cores} cores, {given.rounds} rounds of {given.images} images"
    )
    print("| | images/s | images per processor second |")
    print("|---|---|---|")
    for name, (wall, processor) in medians.items():
        print(f"| {name} | {wall:,.0f} | {processor:,.0f} |")
    ratios = [
        statistics.median(
            own[column] / base[column] for own, base in zip(*reversed(rates.values()), strict=True)
        )
        for column in (0, 1)
    ]
    print(f"| reader / bare loop | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
