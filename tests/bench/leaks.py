"""Measure how well copies of test pictures are found among training pairs of the icon world, and at what cost.

    python tests/bench/leaks.py [--pairs 4000] [--sides 112 224] [--photos TAR ...]

A world with flaws is rendered for each side; `ground_truth.parquet` says which training pictures are re-encoded and
smaller copies of which test pictures. The index is built of the test split alone. A pair counts as found when it lies
within 31 bits and has a quality that gets a verdict; recall is that of the copies that get one. With `--photos`,
real pictures are copied at other sizes, qualities and formats, and the distances of copies are compared between PDQ as
published and PDQ of a thumbnail, each on scaled and on full decodes.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from data_filters import pdq
from data_filters.decode import decode
from data_filters.leakage import REACH, NearHashes
from data_filters.perceptual_hash import LOWEST_QUALITY, SMALLEST_DECODE, hash_thumbnails, thumbnail
from data_filters.sample import BrokenSample
from pipelines.icon_world import render_world
from pipelines.leaks.build import build_index
from pipelines.leaks.index import LeakIndex
from pipelines.shards.reader import iterate

Hash = Callable[[Image.Image], np.ndarray]


def measure_world(folder: Path, pairs: int, side: int, seed: int = 0) -> list[dict[str, object]]:
    """Recall and precision of one world by the lowest quality that gets a verdict, and microseconds a picture."""
    render_world(str(folder), pairs, seed, image_size=side, flaws=True, test_pairs=512)
    build_index([str(folder / "test")], str(folder / "leaks.parquet"), workers=1)
    index = LeakIndex.load(str(folder / "leaks.parquet"))
    index.match(np.zeros((1, pdq.BYTES), np.uint8), [b""], [b""])  # builds the tables
    truth = pq.read_table(folder / "ground_truth.parquet").to_pylist()
    copied = {row["key"] for row in truth if row["flaw"] == "test_image_copy"}

    read = [pair for tar in sorted((folder / "train").glob("*.tar")) for pair in iterate(tar)]
    times = [time.process_time()]
    decoded = [(key, picture) for key, members in read if (picture := _decoded(members["jpg"]))]
    times.append(time.process_time())
    hashes, quality = hash_thumbnails(np.stack([thumbnail(picture) for _, picture in decoded]))
    times.append(time.process_time())
    distance, _ = index.nearest(hashes)
    times.append(time.process_time())
    names = ("decode, us", "thumbnail and hash, us", "look-up, us")
    micro = 1e6 * np.diff(times) / len(decoded)

    is_copy = np.array([key in copied for key, _ in decoded])
    rows: list[dict[str, object]] = [
        {"side": side, "pairs": len(decoded), "indexed": len(index), "copies": int(is_copy.sum())}
        | {name: int(value) for name, value in zip(names, micro, strict=True)}
    ]
    for lowest in (0, 20, LOWEST_QUALITY):
        verdict = quality >= lowest
        found = (distance <= REACH) & verdict
        rows.append(
            {
                "lowest quality": lowest,
                "without verdict": int((~verdict).sum()),
                "copies without verdict": int((is_copy & ~verdict).sum()),
                "recall": round(float((found & is_copy).sum() / (verdict & is_copy).sum()), 4),
                "precision": round(float((found & is_copy).sum() / max(1, found.sum())), 4),
            }
        )
    return rows


def _decoded(data: bytes) -> Image.Image | None:
    try:
        return decode(data, at_least=SMALLEST_DECODE)
    except BrokenSample:
        return None


def measure_search(pictures: int, queries: int = 1000) -> dict[str, float]:
    """Microseconds a query among random hashes of that many pictures in eight orientations."""
    generator = np.random.default_rng(0)
    many = generator.integers(0, 256, (pictures * len(pdq.ORIENTATIONS), pdq.BYTES), dtype=np.uint8)
    owners = np.repeat(np.arange(pictures, dtype=np.int32), len(pdq.ORIENTATIONS))
    started = time.process_time()
    near = NearHashes(many, owners)
    built = time.process_time() - started
    asked = generator.integers(0, 256, (queries, pdq.BYTES), dtype=np.uint8)
    started = time.process_time()
    near.nearest(asked)
    micro = 1e6 * (time.process_time() - started) / queries
    return {"pictures": pictures, "build, s": built, "look-up, us": micro}


def published(picture: Image.Image) -> np.ndarray:
    """PDQ with its own filter, of whatever pixels there are."""
    return pdq.bits(pdq.coefficients(pdq.grid(pdq.luma(np.asarray(picture)))))


def of_thumbnail(picture: Image.Image) -> np.ndarray:
    """The hash that index and look use."""
    return hash_thumbnails(thumbnail(picture)[None])[0][0]


def measure_photos(tars: list[str], most: int = 300) -> list[dict[str, object]]:
    """Distances between pictures and their copies, and the share within 31 bits, by definition of the hash."""
    pictures = []
    for tar in tars:
        for _, members in iterate(tar):
            if "jpg" in members and len(pictures) < most:
                pictures.append(members["jpg"])
    generator = np.random.default_rng(0)
    copied = {
        "quality 30-80": [_copy(data, 1, int(generator.integers(30, 80))) for data in pictures],
        "0.4-0.7 of the size": [_copy(data, float(generator.uniform(0.4, 0.7)), 80) for data in pictures],
        "twice the size": [_copy(data, 2, 85) for data in pictures],
        "PNG": [_copy(data, 1, None) for data in pictures],
    }
    rows = []
    hashes: dict[str, Hash] = {"PDQ": published, "PDQ of a thumbnail": of_thumbnail}
    for name, function in hashes.items():
        for at_least in (0, SMALLEST_DECODE, 64):
            mine = np.stack([function(decode(data, at_least)) for data in pictures])
            row: dict[str, object] = {"hash": name, "decoded at least": at_least}
            for kind, copies in copied.items():
                theirs = np.stack([function(decode(data, at_least)) for data in copies])
                bits = np.bitwise_count(mine ^ theirs).sum(1)
                row[kind] = f"{bits.mean():.1f} bits, {np.mean(bits <= REACH):.3f}"
            rows.append(row)
    return rows


def _copy(data: bytes, scale: float, quality: int | None) -> bytes:
    picture = decode(data)
    size = [max(1, round(side * scale)) for side in picture.size]
    if scale != 1:
        picture = picture.resize((size[0], size[1]), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    if quality is None:
        picture.save(out, "PNG", compress_level=1)
    else:
        picture.save(out, "JPEG", quality=quality)
    return out.getvalue()


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4000)
    parser.add_argument("--sides", type=int, nargs="+", default=[112, 224])
    parser.add_argument("--photos", nargs="*", default=[])
    options = parser.parse_args()
    for side in options.sides:
        with tempfile.TemporaryDirectory() as folder:
            for row in measure_world(Path(folder), options.pairs, side):
                print(row)
    for pictures in (12_500, 100_000):
        print(measure_search(pictures))
    for row in measure_photos(options.photos) if options.photos else ():
        print(row)


if __name__ == "__main__":
    main()
