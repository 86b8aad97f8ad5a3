"""Writes a world: raw shards per split, the ground truth of its flaws, and last `world.json`."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from multiprocessing import get_context

import pyarrow as pa

from data_filters.errors import InputError
from pipelines.common.files import filesystem, join, write_json, write_parquet
from pipelines.icon_world.distractors import MOST_DISTRACTORS, unnamed_glyphs
from pipelines.icon_world.flaws import BLOCK, REPEATED, flawed_members, plan_flaws
from pipelines.icon_world.glyphs import require_font
from pipelines.icon_world.photographs import find_photographs
from pipelines.icon_world.render import encode_jpeg, paint
from pipelines.icon_world.sample import World, sample_key
from pipelines.icon_world.scene import SINGLE_SHARE
from pipelines.icon_world.vocabulary import NAMES, first_names
from pipelines.shards.writer import write_shard

_HELD_BACK = 512  # default number of test and of unseen pairs, unless the world is smaller
_WORTH_PROCESSES = 3000  # pairs from which starting processes saves time
_FEWEST_NAMES = 8  # each colour is held out once, and shuffled captions need scenes without a common name
_TICK = 50  # pairs between two calls of progress
_GROUND_TRUTH = pa.schema(
    [("key", pa.string()), ("split", pa.string()), ("flaw", pa.string()), ("detail", pa.string())]
)


@dataclass(frozen=True)
class WorldSummary:
    """What was written: pairs per split, shards, pairs per flaw, bytes of all tars, seconds.

    `photographs`: those behind the objects, per split. `unreadable`: `NAME: REASON` of what was passed over in their
    folder.
    """

    output: str
    pairs: dict[str, int]
    shards: list[str]
    flaws: dict[str, int]
    size: int
    seconds: float
    photographs: dict[str, int] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    @property
    def pairs_per_second(self) -> float:
        """Pairs of all splits per second."""
        return sum(self.pairs.values()) / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class _Task:
    """One shard to write."""

    uri: str
    split: str
    start: int
    stop: int


@dataclass
class _Written:
    """What a worker reports of a shard: its size in bytes, its flaws, and the captions' hashes in order."""

    size: int = 0
    flaws: list[tuple[str, str, str]] = field(default_factory=list)
    captions: list[tuple[str, bytes]] = field(default_factory=list)


def render_world(
    output: str,
    pairs: int,
    seed: int = 0,
    *,
    image_size: int = 224,
    flaws: bool = False,
    samples_per_shard: int = 1000,
    test_pairs: int | None = None,
    unseen_pairs: int | None = None,
    names: int = len(NAMES),
    single_share: float = SINGLE_SHARE,
    backgrounds: str | None = None,
    distractors: int = 0,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WorldSummary:
    """Render an icon world of `pairs` training pairs into the folder or URI `output`.

    Leaves raw shards in img2dataset's layout (KEY.jpg, KEY.txt, KEY.json) in `train/`, `test/` and
    `unseen/`; with `flaws`, `ground_truth.parquet` (key, split, flaw, detail), a row per flawed training
    pair; and `world.json`, written last. `image_size`: pixels of a side. `test_pairs` and `unseen_pairs`
    default to 512, or to `pairs` in a smaller world. `names`: the number of kinds of objects; with fewer, training
    takes fewer steps. `single_share`: share of training scenes with one object, from which names are learned sooner.
    `backgrounds`: folder or URI of photographs, of which squares lie behind the objects (`photographs.py` says which
    are read); no two splits share one. `distractors`: the most shapes of a scene that are none of `names` and that no
    text names.
    `workers`: processes; by default one per core where the world is large enough. `progress` is called with (pairs
    done, pairs in all).

    The bytes depend on the arguments and on the photographs' bytes alone, not on `workers` or on names of files; a
    larger world of the same seed begins with the same samples (with flaws: for the same `test_pairs`, from which the
    leaked copies are drawn).
    Raises InputError for values out of range, a missing font package, an `output` that is not empty, or `backgrounds`
    without a photograph for each split.
    """
    began = time.perf_counter()
    counts = {
        "train": pairs,
        "test": min(_HELD_BACK, pairs) if test_pairs is None else test_pairs,
        "unseen": min(_HELD_BACK, pairs) if unseen_pairs is None else unseen_pairs,
    }
    _check(
        output, counts, seed, image_size, flaws, samples_per_shard, names, single_share, distractors, workers
    )
    shown = [split for split, count in counts.items() if count]
    photographs = None if backgrounds is None else find_photographs(backgrounds, image_size, shown)
    world = World(
        seed, image_size, flaws, counts["test"], first_names(names), single_share, photographs, distractors
    )
    tasks = [
        _Task(join(output, split, f"{number:05d}.tar"), split, start, min(start + samples_per_shard, count))
        for split, count in counts.items()
        for number, start in enumerate(range(0, count, samples_per_shard))
    ]
    total = sum(counts.values())
    if workers is None:
        workers = (os.cpu_count() or 1) if total >= _WORTH_PROCESSES else 1
    written = _render_all(world, tasks, min(workers, len(tasks)), total, progress)
    flaw_counts = _write_ground_truth(output, written) if flaws else {}
    record = _record(world, samples_per_shard, counts, flaw_counts)
    write_json(join(output, "world.json"), record, ensure_ascii=True, end="")
    return WorldSummary(
        output=output,
        pairs=counts,
        shards=[task.uri for task in tasks],
        flaws=flaw_counts,
        size=sum(report.size for report in written),
        seconds=time.perf_counter() - began,
        photographs=photographs.counts if photographs else {},
        unreadable=list(photographs.unreadable) if photographs else [],
    )


def _check(
    output: str,
    counts: dict[str, int],
    seed: int,
    image_size: int,
    flaws: bool,
    samples_per_shard: int,
    names: int,
    single_share: float,
    distractors: int,
    workers: int | None,
) -> None:
    """Raise InputError, before anything is written, for a value out of range or an output that is not empty."""
    limits = {
        "pairs": (counts["train"], 1, 10**8 - 1),
        "test_pairs": (counts["test"], 1 if flaws else 0, 10**8 - 1),
        "unseen_pairs": (counts["unseen"], 0, 10**8 - 1),
        "seed": (seed, 0, 2**63 - 1),
        "image_size": (image_size, 64, 1024),
        "samples_per_shard": (samples_per_shard, 1, 10**6),
        "names": (names, _FEWEST_NAMES, len(NAMES)),
        "distractors": (distractors, 0, MOST_DISTRACTORS),
        "workers": (1 if workers is None else workers, 1, 1024),
    }
    for name, (value, least, most) in limits.items():
        if not least <= value <= most:
            raise InputError(f"{name} is {value}; allowed are {least} to {most}; set {name}")
    if not 0 <= single_share <= 1:
        raise InputError(f"single_share is {single_share}; allowed are 0 to 1; set single_share")
    if distractors and not unnamed_glyphs(first_names(names)):
        raise InputError(
            f"distractors is {distractors}; they are glyphs that the world does not name, and with names {names} none "
            f"is left, so that only 0 is allowed; set names lower (12, say; at most {len(NAMES) - 1})"
        )
    require_font()
    fs, path = filesystem(output)
    if fs.exists(path) and (not fs.isdir(path) or fs.ls(path)):
        raise InputError(
            f"output {output} is not empty; nothing is overwritten; give a new folder or empty this one"
        )


def _render_all(
    world: World,
    tasks: list[_Task],
    workers: int,
    total: int,
    progress: Callable[[int, int], None] | None,
) -> list[_Written]:
    """Write every shard, in this process or in several; returns the reports in the order of the tasks."""
    tell = progress or (lambda done, of: None)
    done = 0
    tell(0, total)
    if workers <= 1:
        written = []
        for task in tasks:
            written.append(_render_shard(world, task, partial(_tell_from, tell, done, total)))
            done += task.stop - task.start
            tell(done, total)
        return written
    reports: dict[int, _Written] = {}
    # spawn, since a fork of a process that runs threads (torch, Ray) may hang
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(_render_shard, world, task): place for place, task in enumerate(tasks)}
        for future in as_completed(waiting):
            place = waiting[future]
            reports[place] = future.result()
            done += tasks[place].stop - tasks[place].start
            tell(done, total)
    return [reports[place] for place in range(len(tasks))]


def _tell_from(tell: Callable[[int, int], None], before: int, total: int, done: int) -> None:
    tell(before + done, total)


def _render_shard(world: World, task: _Task, tick: Callable[[int], None] | None = None) -> _Written:
    """Write one shard, sample by sample."""
    report = _Written()

    def samples() -> Iterator[tuple[str, dict[str, bytes]]]:
        for index in range(task.start, task.stop):
            key = sample_key(task.split, index)
            members, flaw = _sample(world, task.split, index)
            if task.split == "train":
                if flaw is not None:
                    report.flaws.append((key, *flaw))
                report.captions.append((key, blake2b(members["txt"], digest_size=12).digest()))
            yield key, members
            if tick is not None and (index - task.start + 1) % _TICK == 0:
                tick(index - task.start + 1)

    report.size = write_shard(task.uri, samples()).size
    return report


def _sample(world: World, split: str, index: int) -> tuple[dict[str, bytes], tuple[str, str] | None]:
    """Make the members of a sample (extension -> bytes), and its flaw (kind, detail) if it has one."""
    flaw = plan_flaws(world, index // BLOCK).get(index) if world.flaws and split == "train" else None
    if flaw is not None:
        members, detail = flawed_members(world, index, flaw)
        return members, (flaw.kind, detail)
    scene = world.scene(split, index)
    caption = world.caption(split, index, scene)
    metadata = world.metadata(split, index, scene, caption)
    return {
        "jpg": encode_jpeg(paint(scene)),
        "json": json.dumps(metadata).encode(),
        "txt": caption.text.encode(),
    }, None


def _record(
    world: World, samples_per_shard: int, counts: dict[str, int], flaw_counts: dict[str, int]
) -> dict[str, object]:
    """What `world.json` says: all that the bytes of the samples depend on."""
    record: dict[str, object] = {
        "version": 1,
        "seed": world.seed,
        "image_size": world.side,
        "names": list(world.names),
        "single_share": world.single_share,
        "samples_per_shard": samples_per_shard,
        "pairs": counts,
        "flaws": flaw_counts,
    }
    if world.photographs is not None:
        photographs = world.photographs
        record["backgrounds"] = {"photographs": photographs.counts, "sha256": photographs.sha256}
    if world.distractors:
        record["distractors"] = world.distractors
    return record


def _write_ground_truth(output: str, written: Iterable[_Written]) -> dict[str, int]:
    """Write `ground_truth.parquet`; returns the number of pairs per flaw."""
    rows = _ground_truth(written)
    columns = list(zip(*rows, strict=True)) or [()] * 4
    table = pa.table([pa.array(column, pa.string()) for column in columns], schema=_GROUND_TRUTH)
    write_parquet(join(output, "ground_truth.parquet"), table, compression="snappy")
    return dict(sorted(Counter(flaw for _, _, flaw, _ in rows).items()))


def _ground_truth(written: Iterable[_Written]) -> list[tuple[str, str, str, str]]:
    """Rows (key, split, flaw, detail) by key: the planted flaws, and captions that occur twice by chance."""
    first: dict[bytes, str] = {}
    rows = []
    for report in written:
        planted = {key: (flaw, detail) for key, flaw, detail in report.flaws}
        for key, caption in report.captions:
            before = first.setdefault(caption, key)
            if key in planted:
                rows.append((key, "train", *planted[key]))
            elif before != key:
                rows.append((key, "train", REPEATED, f"duplicate_of={before}"))
    return rows
