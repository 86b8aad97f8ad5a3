"""Measure what curation costs beside bare loops that do the same reads, and what shards and pairs cost.

    python tests/bench/curation_ratios.py build --data RAW --to WORK        1,000 shards of 50 pairs and 2 of 25,000
    python tests/bench/curation_ratios.py build --data RAW --to WORK --gib 4     one shard of 4 GiB of larger pictures
    python tests/bench/curation_ratios.py scan --data FOLDER                phase A against a bare loop
    python tests/bench/curation_ratios.py write --data FOLDER               phase C against a bare loop
    python tests/bench/curation_ratios.py phrases --data FOLDER             phase C's phrases against spaCy's nlp.pipe
    python tests/bench/curation_ratios.py runs --data WORK/large WORK/small      whole runs: CPU seconds and memory

Outputs stay until the end: for five minutes after many files were deleted ext4 takes 0.4 ms of CPU for each new one
(it does not use their inodes again so soon), which small shards would pay for. Delete nothing before, either.

`scan` and `write` run both sides in Ray's workers by turns, one worker at a time, and compare CPU seconds of the
process; `phrases` does so in this process. `runs` sums the CPU seconds of all processes of `loupe curate`, Ray's own
among them, and gives those of a run over one pair beside. The median of the rounds after the first counts.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from process_usage import Usage, run_watched

from data_filters.hashes import caption_key, xxh3
from data_filters.image import read_header
from data_filters.language import identifier_of_process, model_path
from data_filters.sample import BrokenSample, members_read, sample_from_members
from pipelines.common.garbage import rare_collections
from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import make_plan
from pipelines.curate.tasks import ScanShard, WriteShard
from pipelines.phrases.config import PhrasesConfig, parser
from pipelines.ray_tasks import for_each, running_ray
from pipelines.shards.batches import batches, length_of
from pipelines.shards.reader import iterate, read_index, read_members, survey
from pipelines.shards.tar_format import BrokenShard, Member
from pipelines.shards.unit import Unit
from pipelines.shards.writer import write_shard

Call = Callable[[Unit], dict[str, Any]]
RECIPE: dict[str, Any] = {
    "min_side": 64,
    "max_bad_fraction": 1.0,
    "rules": {
        "formats": {"kind": "formats"},
        "english": {"kind": "language", "allow": ["en"], "min_probability": 0.3},
    },
}


class BareScan:
    """The walk, the reads, the headers, the language calls and the hashes of phase A, and nothing else."""

    def __call__(self, unit: Unit) -> dict[str, Any]:
        identify = identifier_of_process("fasttext", model_path("fasttext", None), "the shipped one")
        with open(unit.uri, "rb") as file:
            hashlib.file_digest(file, "sha256").hexdigest()
        samples: dict[str, list[Member]] = {}
        for member in survey(unit.uri):
            if isinstance(member, Member):
                samples.setdefault(member.key, []).append(member)
        pairs = 0
        for batch in batches(samples.values(), length_of):
            data = iter(read_members(unit.uri, [member for members in batch for member in members]))
            captions = []
            for members in batch:
                parts = {member.extension: next(data) for member in members}
                image = parts.get("jpg") or parts.get("png") or parts.get("webp") or b""
                text = parts["txt"] if "txt" in parts else json.loads(parts["json"])["caption"].encode()
                caption = text.decode("utf-8", "replace")
                with contextlib.suppress(BrokenSample):
                    read_header(image)
                xxh3(image), xxh3(text), caption_key(caption)
                captions.append(caption)
            identify(captions)
            pairs += len(captions)
        return {"pairs": pairs}


class BareWrite:
    """Reads the members of a curated shard from the raw one, but its metadata from itself; writes and hashes them.

    `write_shard` is given what phase C gave it.
    """

    def __init__(self, raw: str, curated: str, output: str) -> None:
        self.raw, self.curated, self.output = raw, curated, output

    def __call__(self, unit: Unit) -> dict[str, Any]:
        tar = f"{self.curated}/{unit.name}.tar"
        written: dict[str, list[Member]] = {}
        for member in read_index(tar):
            written.setdefault(member.key, []).append(member)
        lying = {(member.key, member.extension): member for member in read_index(unit.uri)}

        def samples() -> Iterator[tuple[str, dict[str, bytes]]]:
            for batch in batches(written.values(), length_of):
                metadata = [member for members in batch for member in members if member.extension == "json"]
                others = [
                    lying[member.key, member.extension]
                    for members in batch
                    for member in members
                    if member.extension != "json"
                ]
                of_json, of_others = iter(read_members(tar, metadata)), iter(read_members(unit.uri, others))
                for members in batch:
                    yield (
                        members[0].key,
                        {
                            member.extension: next(of_json if member.extension == "json" else of_others)
                            for member in members
                        },
                    )

        return {"pairs": write_shard(f"{self.output}/{unit.name}.tar", samples()).samples}


class Timed:
    """Calls a function and gives back the CPU seconds that its process spent."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def __call__(self, unit: Unit) -> dict[str, Any]:
        before = time.process_time()
        with rare_collections():  # for the bare loops too, which would be slower without
            result = self.call(unit)
        seconds = time.process_time() - before
        return {"seconds": seconds, "pairs": result.get("pairs", result.get("rows", 0))}


def spent(call: Call, units: list[Unit]) -> tuple[float, int]:
    """The CPU seconds of one worker's process over all units, and the pairs."""
    results = for_each(Timed(call), units, 1, lambda unit, result: None)
    return sum(result["seconds"] for result in results), sum(result["pairs"] for result in results)


def report(what: str, ours: list[float], bare: list[float], pairs: int, limit: float) -> None:
    """Print the medians of the rounds after the first, in microseconds a pair."""
    ratio = statistics.median(one / other for one, other in zip(ours[1:], bare[1:], strict=True))
    mine, theirs = (statistics.median(side[1:]) / pairs * 1e6 for side in (ours, bare))
    print(
        f"{what}: {mine:.1f} µs of CPU a pair, bare {theirs:.1f}; ratio {ratio:.2f} (at most {limit}); {pairs} pairs, "
        f"{len(ours) - 1} rounds, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def measure_scan(data: str, rounds: int) -> None:
    """Phase A, its files written, against BareScan."""
    units, plan = find_units(data), make_plan(CurateConfig(**RECIPE))
    ours, bare, pairs = [], [], 0
    with running_ray(1), tempfile.TemporaryDirectory(prefix="loupe-bench-") as work:
        for number in range(rounds + 1):
            ours.append(spent(ScanShard(plan, f"{work}/{number}", False, None), units)[0])
            seconds, pairs = spent(BareScan(), units)
            bare.append(seconds)
    report("scan", ours, bare, pairs, 1.4)


def measure_write(data: str, rounds: int) -> None:
    """Phase C without phrases, its files written, against BareWrite."""
    config = CurateConfig(**RECIPE)
    units, plan = find_units(data), make_plan(config)
    ours, bare, pairs = [], [], 0
    with running_ray(1), tempfile.TemporaryDirectory(prefix="loupe-bench-") as work:
        for unit in units:
            if not Path(data, f"{unit.name}.index.parquet").exists():
                print(f"{unit.name} has no index: the bare loop walks its headers", flush=True)
                break
        for number in range(rounds + 1):
            out, copy = f"{work}/{number}", f"{work}/{number}-bare"
            spent(ScanShard(plan, out, False, None), units)
            ours.append(spent(WriteShard(config, plan, out, [], None, False), units)[0])
            kept = [unit for unit in units if Path(out, f"{unit.name}.tar").exists()]
            seconds, pairs = spent(BareWrite(data, out, copy), kept)
            bare.append(seconds)
    report("write", ours, bare, pairs, 2.0)


def measure_phrases(data: str, rounds: int) -> None:
    """What phrases add to phase C, against spaCy's own nlp.pipe on the distinct kept captions of each shard."""
    without, phrases = CurateConfig(**RECIPE), PhrasesConfig()
    config = CurateConfig(**RECIPE, phrases=phrases)
    units, plan = find_units(data), make_plan(config)
    nlp, options = parser(phrases).nlp, parser(phrases).options
    ours, bare, pairs = [], [], 0
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as work:
        scan = ScanShard(plan, work, False, None)
        for unit in units:
            scan(unit)
        captions = kept_captions(without, work, units)
        for _ in range(rounds + 1):
            seconds = []
            for recipe in (without, config):
                write = WriteShard(recipe, plan, work, [], None, False)
                before = time.process_time()
                for unit in units:
                    write(unit)
                seconds.append(time.process_time() - before)
            before = time.process_time()
            for of_shard in captions:
                cut = [caption[: options.max_characters] for caption in of_shard]
                for _doc in nlp.pipe(cut, batch_size=options.batch_size):
                    pass
            bare.append(time.process_time() - before)
            ours.append(seconds[1] - seconds[0])
        pairs = sum(map(len, captions))
    report("phrases (µs a distinct caption)", ours, bare, pairs, 1.15)


def kept_captions(config: CurateConfig, work: str, units: list[Unit]) -> list[list[str]]:
    """The distinct captions of each shard that are kept, in the order of their keys."""
    write = WriteShard(config, make_plan(config), work, [], None, False)
    found = []
    for unit in units:
        write(unit)
        tar = f"{work}/{unit.name}.tar"
        samples = iterate(tar) if os.path.exists(tar) else ()
        captions = (sample_from_members(key, parts).caption or "" for key, parts in samples)
        found.append(list(dict.fromkeys(captions)))
    return found


def curate(data: str, recipe: Path, output: Path, workers: int) -> tuple[Usage, float, int]:
    """A whole `loupe curate` in a process of its own: its usage, its wall seconds, the pairs that it kept."""
    started = time.monotonic()
    command = [sys.executable, "-m", "cluster.cli", "curate", str(recipe), "--input", data]
    command += ["--output", str(output), "--json", "--set", f"workers={workers}"]
    usage, said, returncode = run_watched(command, {"PYTHONPATH": str(ROOT)}, cwd=ROOT)
    if returncode:
        raise SystemExit(f"loupe curate over {data} ended with {returncode}: {said}")
    return usage, time.monotonic() - started, json.loads(said)["funnel"]["pairs"]


def measure_runs(folders: list[str], rounds: int, workers: int) -> None:
    """Whole runs over each folder by turns, after a run over one pair, which is what Ray's start costs."""
    with tempfile.TemporaryDirectory(prefix="loupe-bench-") as work:
        recipe = Path(work, "recipe.yaml")
        recipe.write_text(json.dumps(RECIPE))
        first = next(iter(iterate(find_units(folders[0])[0].uri)))
        write_shard(f"{work}/one/0.tar", [first])
        seconds: dict[str, list[float]] = {}
        for number in range(rounds):
            for place, data in enumerate([f"{work}/one", *folders]):
                usage, wall, pairs = curate(data, recipe, Path(work, f"out-{number}-{place}"), workers)
                cpu = sum(usage.cpu.values())
                seconds.setdefault(data, []).append(cpu / pairs if data != f"{work}/one" else cpu)
                print(
                    f"{data}: {pairs} pairs in {len(find_units(data))} shards: {cpu:.1f} s of CPU, {wall:.1f} s, "
                    f"driver {usage.driver / 2**20:.0f} MiB resident, worker {usage.worker / 2**20:.0f} MiB private, "
                    f"load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
                counts = pairs
                by_name: dict[str, float] = {}
                for pid, each in usage.cpu.items():
                    name = usage.names.get(pid, "?")
                    by_name[name] = by_name.get(name, 0) + each
                most = sorted(by_name.items(), key=lambda one: -one[1])[:6]
                print("    " + ", ".join(f"{name} {each:.1f} s" for name, each in most), flush=True)
        start = statistics.median(seconds.pop(f"{work}/one"))
        medians = {data: statistics.median(each) for data, each in seconds.items()}
        for data, each in medians.items():
            without = each - start / counts
            line = f"{data}: {each * 1e6:.0f} µs of CPU a pair, {without * 1e6:.0f} without Ray's start ({start:.1f} s)"
            least = medians[folders[0]]
            print(f"{line}; ratio {each / least:.2f}, {without / (least - start / counts):.2f} (at most 1.5)")


def build(data: str, to: str, gib: float | None) -> None:
    """Repack the pairs of some shards under new keys."""
    pairs: list[tuple[str, dict[str, bytes]]] = []
    for unit in find_units(data):
        with contextlib.suppress(BrokenShard):
            pairs += [(key, parts) for key, parts in iterate(unit.uri) if len(members_read(parts)) > 1]
    if gib is None:
        for folder, count, size in (("large", 2, 25_000), ("small", 1000, 50)):
            for shard in range(count):
                numbers = range(shard * size, (shard + 1) * size)
                chosen = ((f"{number:08d}", pairs[number % len(pairs)][1]) for number in numbers)
                write_shard(f"{to}/{folder}/{shard:05d}.tar", chosen)
    else:
        write_shard(f"{to}/wide/00000.tar", enlarged(pairs, int(gib * 2**30)))


def enlarged(pairs: list[tuple[str, dict[str, bytes]]], size: int) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The pairs with pictures of 1024 x 1024 pixels of noise, until there are `size` bytes."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    pictures = []
    for _ in range(50):
        picture, out = random.integers(0, 255, (256, 256, 3), np.uint8), io.BytesIO()
        Image.fromarray(picture).resize((1024, 1024)).save(out, "JPEG", quality=88)
        pictures.append(out.getvalue())
    held = number = 0
    while held < size:
        _, parts = pairs[number % len(pairs)]
        texts = {name: content for name, content in parts.items() if name in ("txt", "json")}
        picture_bytes = pictures[number % len(pictures)]
        held += len(picture_bytes) + sum(map(len, texts.values()))
        yield f"{number:08d}", {"jpg": picture_bytes, **texts}
        number += 1


def main() -> None:
    parser_ = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser_.add_argument("what", choices=("build", "scan", "write", "phrases", "runs"))
    parser_.add_argument(
        "--data", nargs="+", required=True, help="folders with raw shards; runs: large ones first"
    )
    parser_.add_argument("--to", help="build: the folder that takes large/ and small/, or wide/")
    parser_.add_argument("--gib", type=float, help="build: one shard of this size in place of many")
    parser_.add_argument("--rounds", type=int, default=5)
    parser_.add_argument("--workers", type=int, default=2)
    asked = parser_.parse_args()
    if asked.what == "build":
        build(asked.data[0], asked.to, asked.gib)
    elif asked.what == "runs":
        measure_runs([os.path.abspath(folder) for folder in asked.data], asked.rounds, asked.workers)
    else:
        call = {"scan": measure_scan, "write": measure_write, "phrases": measure_phrases}[asked.what]
        call(os.path.abspath(asked.data[0]), asked.rounds)


if __name__ == "__main__":
    main()
