"""Measure a decision over all shards on Ray Data: exact duplicates among made-up 128-bit digests, the first one stays.

    python tests/bench/decide_at_scale.py --rows 20000000 [--memory-mb 256] [--store-mb 150] [--kill 3] [--hot 0.1]

Metadata only: every row is a digest, 3 of 10 rows repeat an earlier one, and with `--hot` many have one. Printed as
one line of JSON: a worker's peak private memory (USS, sampled), bytes spilled against the bytes of the rows, whether
the decision equals a plain numpy sort, and its sha256, which must be the same for every number of workers, with Polars
and without, and after kills.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("PYTHONPATH", str(ROOT))
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

from pipelines.curate.corpus.in_process import InProcess
from pipelines.curate.corpus.on_ray import OnRay
from pipelines.curate.rules.duplicates import Duplicates

ROWS_OF_A_SHARD = 10_000
ROW_BYTES = 24  # key, the digest's other half, rank
RULE = Duplicates(kind="duplicates", of="image", keep="first")


@dataclass(frozen=True)
class Digests:
    """Shards of made-up digests."""

    total: int
    hot: float = 0.0

    @property
    def count(self) -> int:
        return -(-self.total // ROWS_OF_A_SHARD)

    def name(self, shard: int) -> str:
        return f"{shard:08}"

    def rows(self, shard: int) -> int:
        return min(ROWS_OF_A_SHARD, self.total - shard * ROWS_OF_A_SHARD)

    def passing(self, shard: int) -> np.ndarray:
        return np.ones(self.rows(shard), np.bool_)

    def load(self, shard: int, columns: Sequence[str]) -> pa.Table:
        row = np.arange(self.rows(shard), dtype=np.uint64) + np.uint64(shard * ROWS_OF_A_SHARD)
        digest = digests(row, self.hot)
        column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(row), [None, pa.py_buffer(digest)])
        return pa.table({"image_hash": column}).select(list(columns))


def mixed(values: np.ndarray, seed: int) -> np.ndarray:
    """64 well mixed bits of each number (splitmix64)."""
    bits = values + np.uint64((seed * 0x9E3779B97F4A7C15) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits ^ (bits >> np.uint64(31))


def digests(row: np.ndarray, hot: float) -> np.ndarray:
    """Two 64-bit halves for each row; rows 7, 8 and 9 of ten repeat one of the first seven of an earlier ten.

    A part `hot` of all rows, scattered, has one digest.
    """
    ten = row // np.uint64(10)
    earlier = mixed(row, 1) % np.maximum(ten, np.uint64(1)) * np.uint64(10) + mixed(row, 2) % np.uint64(7)
    source = np.where(row % np.uint64(10) < np.uint64(7), row, earlier)
    source = np.where(
        mixed(row, 5) % np.uint64(10_000) < np.uint64(round(hot * 10_000)), np.uint64(0), source
    )
    return np.stack([mixed(source, 3), mixed(source, 4)], axis=1)


def plain_sort(total: int, hot: float) -> str:
    """The sha256 of the drops, by one stable numpy sort of all digests; shares nothing with the engines."""
    row = np.arange(total, dtype=np.uint64)
    digest = digests(row, hot)
    order = np.lexsort((digest[:, 1], digest[:, 0]))
    same = np.zeros(total, np.bool_)
    same[1:] = (digest[order[1:]] == digest[order[:-1]]).all(axis=1)
    first = order[np.maximum.accumulate(np.where(same, 0, np.arange(total)))]
    drop = order[same]
    by_row = np.argsort(drop)
    rank = lambda row: ((row // ROWS_OF_A_SHARD) << 32) | (row % ROWS_OF_A_SHARD)  # noqa: E731
    return hashlib.sha256(
        np.stack([rank(drop[by_row]), rank(first[same][by_row])], axis=1).astype(np.int64).tobytes()
    ).hexdigest()


def sha256_of(tables: Sequence[pa.Table]) -> str:
    digest = hashlib.sha256()
    for table in tables:
        columns = [table.column(name).to_numpy() for name in ("rank", "other")]
        digest.update(np.stack(columns, axis=1).astype(np.int64).tobytes())
    return digest.hexdigest()


class Watch(threading.Thread):
    """Samples the USS of this run's Ray workers, and kills some that are inside the repartition."""

    def __init__(self, kill: int) -> None:
        super().__init__(daemon=True)
        self.left, self.killed = kill, []
        self.peak: dict[str, int] = {}
        self.driver_peak = self.anonymous_peak = 0
        self.ended = threading.Event()

    def run(self) -> None:
        last = 0.0
        while not self.ended.wait(0.1):
            self.driver_peak = max(self.driver_peak, psutil.Process().memory_full_info().uss)
            for process in psutil.Process().children(recursive=True):
                try:
                    title = " ".join(process.cmdline())
                    if not title.startswith("ray::"):
                        continue
                    self.anonymous_peak = max(self.anonymous_peak, anonymous_bytes(process.pid))
                    name = re.sub(r"\(.*", "", title.split()[0])
                    self.peak[name] = max(self.peak.get(name, 0), process.memory_full_info().uss)
                    inside = "Shuffle" in title and self.left and time.monotonic() - last > 1
                    # The first in the map half, the others in the reduce half where there is one to see.
                    if inside and ("Map" in name) == (not self.killed):
                        process.kill()
                        last = time.monotonic()
                        self.killed.append(title[:60])
                        self.left -= 1
                except (psutil.Error, OSError):
                    continue


def anonymous_bytes(pid: int) -> int:
    """What a process holds by itself. USS has pages of the object store, too, while no other process touched them."""
    rollup = Path(f"/proc/{pid}/smaps_rollup")
    found = re.search(r"Pss_Anon:\s+(\d+) kB", rollup.read_text()) if rollup.exists() else None
    return int(found[1]) << 10 if found else 0


def files_sha256(folder: Path) -> str:
    """The sha256 of the bytes of all files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.parquet")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def spilled_bytes() -> int:
    import ray
    from ray._private.internal_api import memory_summary

    # By address, since others may run a Ray on this machine.
    summary = memory_summary(ray.get_runtime_context().gcs_address, stats_only=True)
    found = re.search(r"Spilled (\d+) MiB", summary)
    return int(found[1]) << 20 if found else 0


def on_ray(arguments: argparse.Namespace) -> dict[str, Any]:
    import ray

    # Workers inherit the niceness of 15 else, and beside other work on the machine they hardly advance.
    os.environ.setdefault("RAY_worker_niceness", "0")
    with tempfile.TemporaryDirectory(prefix="decide-at-scale-") as folder:
        ray.init(
            address="local",
            num_cpus=arguments.workers,
            include_dashboard=False,
            object_store_memory=arguments.store_mb << 20,
            log_to_driver=False,
            logging_level="error",
        )
        has_polars = ray.get(ray.remote(importlib.util.find_spec).remote("polars")) is not None
        watch = Watch(arguments.kill)
        watch.start()
        start, cpu = time.monotonic(), time.process_time()
        engine = OnRay(Digests(arguments.rows, arguments.hot), f"{folder}/scratch", arguments.memory_mb << 20)
        engine.run(RULE.decide)
        seconds, driver_cpu = time.monotonic() - start, time.process_time() - cpu
        watch.ended.set()
        watch.join()
        spilled = spilled_bytes()
        rule = engine.population.rules[0]
        decision = sha256_of([rule.read(group) for group in range(len(engine.groups))])
        result = {
            "polars": has_polars,
            "seconds": round(seconds, 1),
            "driver_cpu_seconds": round(driver_cpu, 1),
            "driver_peak_mb": watch.driver_peak >> 20,
            "groups": len(engine.groups),
            "rows_mb": arguments.rows * ROW_BYTES >> 20,
            "spilled_mb": spilled >> 20,
            "spilled_of_rows": round(spilled / (arguments.rows * ROW_BYTES), 2),
            "worker_peak_mb": max(watch.peak.values()) >> 20,
            "worker_peak_anonymous_mb": watch.anonymous_peak >> 20,
            "peaks_mb": {name: uss >> 20 for name, uss in watch.peak.items()},
            "killed": watch.killed,
            "files": sorted(os.listdir(f"{folder}/scratch")),
            "files_sha256": files_sha256(Path(folder, "scratch")),
            "sha256": decision,
        }
        ray.shutdown()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--memory-mb", type=int, default=256, help="decide.memory")
    parser.add_argument("--store-mb", type=int, default=150, help="Ray's object store")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--hot", type=float, default=0.0, help="part of all rows that have one digest")
    parser.add_argument("--kill", type=int, default=0, help="workers to kill inside the repartition")
    parser.add_argument("--in-process", action="store_true", help="the engine of one process instead")
    parser.add_argument("--no-sort", action="store_true", help="do not compare with a plain sort")
    arguments = parser.parse_args()
    result: dict[str, Any] = {name: getattr(arguments, name) for name in ("rows", "memory_mb", "store_mb")}
    result |= {"workers": arguments.workers}
    if arguments.in_process:
        start = time.monotonic()
        engine = InProcess(Digests(arguments.rows, arguments.hot))
        engine.run(RULE.decide)
        result |= {"seconds": round(time.monotonic() - start, 1)}
        result |= {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10}
        result |= {"sha256": sha256_of([engine.drops(0, shard) for shard in range(engine.source.count)])}
    else:
        result |= on_ray(arguments)
    if not arguments.no_sort:
        result["equal_to_a_plain_sort"] = result["sha256"] == plain_sort(arguments.rows, arguments.hot)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
