"""Phrases on Ray Data: a stage for a dataset of captions, and a pass over shards that are already curated.

The pass is for a better parser that comes later: it writes new shards with new `loupe.phrases` and everything else
byte for byte as it was, without curating again.
"""

import json
import os
import posixpath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import ray
from ray.data import ActorPoolStrategy, Dataset, from_items

from data_filters.errors import InputError
from data_filters.phrases import PhraseExtractor
from data_filters.sample import BrokenSample, Sample, dump_metadata, sample_from_members
from pipelines.common.config import config_hash
from pipelines.common.files import filesystem, join
from pipelines.phrases.config import PhrasesConfig
from pipelines.phrases.records import BATCH, annotate, phrase_records
from pipelines.ray_tasks import quiet_data, running_ray
from pipelines.shards.manifest import (
    CommittedShard,
    check_same_config,
    committed_shards,
    read_manifests,
    write_manifest,
)
from pipelines.shards.reader import iterate
from pipelines.shards.writer import write_shard

Progress = Callable[[int, int], None]  # (shards done, shards in all)


@dataclass
class PhrasesSummary:
    """What a pass did, in samples: how many were read, have a phrase, could not be read; phrases in all."""

    output: str
    shards: int = 0
    skipped_shards: int = 0
    samples: int = 0
    with_phrases: int = 0
    phrases: int = 0
    quarantine: dict[str, int] = field(default_factory=dict)


class PhraseStage:
    """A Ray actor with one parser: adds the column `phrases` to batches of captions."""

    def __init__(self, config: PhrasesConfig, column: str = "caption") -> None:
        self.extract = config.load()
        self.column = column

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        captions = ["" if caption is None else str(caption) for caption in batch[self.column]]
        found = self.extract(captions)
        batch["phrases"] = [
            phrase_records(caption, spans) for caption, spans in zip(captions, found, strict=True)
        ]
        return batch


def add_phrases(dataset: Dataset, config: PhrasesConfig | None = None, column: str = "caption") -> Dataset:
    """The dataset with a column `phrases`: for each caption a list of {text, start, end}. Lazy."""
    config = config or PhrasesConfig()
    return dataset.map_batches(
        PhraseStage,
        fn_constructor_args=(config, column),
        batch_size=config.batch_size,
        batch_format="numpy",
        compute=_actors(config),
    )


def phrases_pass(
    input_uri: str | os.PathLike[str],
    output_uri: str | os.PathLike[str],
    config: PhrasesConfig | None = None,
    progress: Progress | None = None,
) -> PhrasesSummary:
    """Copy curated shards with the phrases of each caption found anew; shards already committed are skipped.

    Every member but `KEY.json` goes out as it came. Raises InputError when the input holds no curated shards, the
    output is the input, or it was begun with other settings or from other shards; RuntimeError when a shard could
    not be read, after all the others are committed.
    """
    config = config or PhrasesConfig()
    source, target = os.fspath(input_uri), os.fspath(output_uri)
    if filesystem(source)[1].rstrip("/") == filesystem(target)[1].rstrip("/"):
        raise InputError(f"output is {target}, the input itself; nothing is overwritten; name another output")
    shards = committed_shards(source)
    if not shards:
        raise InputError(
            f"input is {source}, which holds no committed shards; expected the output of `loupe curate`; set --input"
        )
    config.load()  # a missing model is the user's to mend: said here in one line, not from within an actor
    done = _committed(shards, target, config)
    todo = [shard for shard in shards if shard.uri not in done]
    summary = PhrasesSummary(target, skipped_shards=len(shards) - len(todo))
    failed = []
    for row in _run(todo, target, config):
        if row["error"]:
            failed.append(f"{row['uri']}: {row['error']}")
            continue
        _count(summary, json.loads(row["manifest"]))
        if progress is not None:
            progress(summary.skipped_shards + summary.shards, len(shards))
    if failed:
        raise RuntimeError(
            f"{len(failed)} of {len(todo)} shards could not be read: {'; '.join(sorted(failed))}"
        )
    return summary


def _run(todo: list[CommittedShard], target: str, config: PhrasesConfig) -> Iterator[dict[str, Any]]:
    if not todo:
        return
    items = [{"uri": shard.uri, "sha256": shard.sha256} for shard in todo]
    with running_ray(config.workers) as running, quiet_data(running):
        dataset = from_items(items, override_num_blocks=len(items)).map(
            _ShardPass, fn_constructor_args=(target, config), compute=_actors(config, len(items))
        )
        yield from dataset.iter_rows()


class _ShardPass:
    """A Ray actor with one parser: reads a shard, writes the new one, then its manifest."""

    def __init__(self, target: str, config: PhrasesConfig) -> None:
        self.target = target
        self.config = config
        self.extract = config.load()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            manifest = copy_with_phrases(row["uri"], row["sha256"], self.target, self.config, self.extract)
        except (OSError, ValueError) as error:
            return {"uri": row["uri"], "manifest": "", "error": f"{type(error).__name__}: {error}"}
        return {"uri": row["uri"], "manifest": json.dumps(manifest), "error": ""}


def copy_with_phrases(
    uri: str, sha256: str, target: str, config: PhrasesConfig, extract: PhraseExtractor
) -> dict[str, Any]:
    """Write one shard under `target` with phrases found by `extract`, then commit it; returns its manifest."""
    name = _name(uri)
    funnel = {"samples": 0, "with_phrases": 0, "phrases": 0}
    quarantine: dict[str, int] = {}

    def annotated() -> Iterator[tuple[str, dict[str, bytes]]]:
        rows = iterate(uri)
        while group := [
            (key, members, _read(key, members, quarantine)) for key, members in islice(rows, BATCH)
        ]:
            with_phrases = annotate((sample for _, _, sample in group if sample is not None), extract)
            for key, members, sample in group:
                funnel["samples"] += 1
                if sample is None:  # goes out as it came: dropping pairs is curation's business
                    yield key, members
                    continue
                metadata = next(with_phrases).metadata
                assert metadata is not None
                found = len(metadata["loupe"]["phrases"])
                funnel["phrases"] += found
                funnel["with_phrases"] += found > 0
                extension = next((name for name in members if name.lower() == "json"), "json")
                yield key, {**members, extension: dump_metadata(metadata)}

    written = write_shard(join(target, f"{name}.tar"), annotated())
    fs, path = filesystem(uri)
    manifest = {
        "config_hash": config_hash(config),
        "config": config.model_dump(mode="json"),
        "input": {"uri": uri, "size": fs.size(path), "sha256": sha256},
        "outputs": [
            {
                "tar": f"{name}.tar",
                "index": f"{name}.index.parquet",
                "samples": written.samples,
                "size": written.size,
                "sha256": written.sha256,
            }
        ],
        "funnel": funnel,
        "quarantine": quarantine,
    }
    write_manifest(target, name, manifest)
    return manifest


def _read(key: str, members: dict[str, bytes], quarantine: dict[str, int]) -> Sample | None:
    try:
        return sample_from_members(key, members)
    except BrokenSample as broken:
        quarantine[broken.reason] = quarantine.get(broken.reason, 0) + 1
        return None


def _committed(shards: list[CommittedShard], target: str, config: PhrasesConfig) -> set[str]:
    """The shards (their URIs) that the output holds already, by these settings and from these bytes."""
    manifests = read_manifests(target)
    check_same_config(target, manifests, config)
    done = set()
    for shard in shards:
        manifest = manifests.get(_name(shard.uri))
        if manifest is None:
            continue
        if manifest["input"]["sha256"] != shard.sha256:
            raise InputError(
                f"output {target} holds {_name(shard.uri)} made from a shard of sha256 {manifest['input']['sha256']}, "
                f"the input's is {shard.sha256}; the input has changed since; name another output"
            )
        done.add(shard.uri)
    return done


def _name(uri: str) -> str:
    return posixpath.basename(uri).removesuffix(".tar")


def _count(summary: PhrasesSummary, manifest: dict[str, Any]) -> None:
    summary.shards += 1
    for name, number in manifest["funnel"].items():
        setattr(summary, name, getattr(summary, name) + number)
    for reason, number in manifest["quarantine"].items():
        summary.quarantine[reason] = summary.quarantine.get(reason, 0) + number


def _actors(config: PhrasesConfig, most: int | None = None) -> ActorPoolStrategy:
    size = config.workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    return ActorPoolStrategy(size=size if most is None else max(1, min(size, most)))
