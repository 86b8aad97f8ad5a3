"""Copies one curated shard and extracts the phrases of its captions again. No ray."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from data_filters.phrases import PhraseExtractor
from data_filters.sample import (
    METADATA_EXTENSION,
    BrokenSample,
    Sample,
    dump_metadata,
    metadata_member,
    sample_from_members,
)
from pipelines.common.config import config_hash, output_settings
from pipelines.common.files import join, remove_file
from pipelines.phrases.config import PhrasesConfig
from pipelines.phrases.records import annotate
from pipelines.shards.batches import held_in_memory, read_samples
from pipelines.shards.manifest import Manifest, manifest_uri, output_entry, write_manifest
from pipelines.shards.reader import group, walk
from pipelines.shards.record import read_phrases
from pipelines.shards.stored import Content
from pipelines.shards.witness import ShardChanged, check_unchanged, read_sha256
from pipelines.shards.writer import write_shard


@dataclass
class PhraseCounts:
    """Samples of a shard, samples with a phrase, and phrases in all."""

    samples: int = 0
    with_phrases: int = 0
    phrases: int = 0


def copy_with_phrases(
    uri: str, sha256: str, target: str, config: PhrasesConfig, extract: PhraseExtractor
) -> Manifest:
    """Write one shard under `target` with phrases found by `extract`, then commit it; return its manifest.

    Raises ShardChanged when the shard's bytes are not those of `sha256`, or change meanwhile.
    """
    name = shard_name(uri)
    found, before = read_sha256(uri)
    if found != sha256:
        raise ShardChanged(
            f"{uri} has sha256 {found}, its manifest names {sha256}; run the curation that made it again with --verify"
        )
    remove_file(manifest_uri(target, name))  # an older commit names files that are replaced now
    counts, quarantine = PhraseCounts(), Counter[str]()
    samples = _copied_samples(uri, extract, counts, quarantine)
    written = write_shard(join(target, f"{name}.tar"), samples)
    check_unchanged(uri, before)
    manifest = {
        "config_hash": config_hash(config),
        "config": output_settings(config),
        "input": {"uri": uri, "size": before.size, "sha256": sha256},
        "outputs": [output_entry(written)],
        "funnel": asdict(counts),
        "quarantine": dict(quarantine),
    }
    write_manifest(target, name, manifest)
    return manifest


def shard_name(uri: str) -> str:
    """The shard's file name without `.tar`."""
    return posixpath.basename(uri).removesuffix(".tar")


def _copied_samples(
    uri: str, extract: PhraseExtractor, counts: PhraseCounts, quarantine: Counter[str]
) -> Iterator[tuple[str, dict[str, Content]]]:
    """The samples of a shard with new phrases; those that cannot be read are counted and copied as they are."""
    samples = [members for _, members in group(walk(uri))]
    keys = (members[0].key for members in samples)
    for contents in read_samples(uri, samples):
        rows = [
            (key, parts, _read(key, held_in_memory(parts), quarantine))
            for parts, key in zip(contents, keys, strict=False)
        ]
        annotated = annotate((sample for _, _, sample in rows if sample is not None), extract)
        for key, parts, sample in rows:
            counts.samples += 1
            if sample is None:  # rejecting pairs is curation's task
                yield key, parts
                continue
            metadata = next(annotated).metadata
            assert metadata is not None  # annotate sets it
            number = len(read_phrases(metadata))
            counts.phrases += number
            counts.with_phrases += number > 0
            name = metadata_member(parts) or METADATA_EXTENSION
            yield key, {**parts, name: dump_metadata(metadata)}


def _read(key: str, members: dict[str, bytes], quarantine: Counter[str]) -> Sample | None:
    try:
        return sample_from_members(key, members)
    except BrokenSample as broken:
        quarantine[broken.reason] += 1
        return None
