"""Phase C: copies the kept pairs from the raw shard to the curated one.

One raw shard is one unit of commit: tar and index, examples for the report, and last the manifest. A unit without a
manifest does not exist; running it again gives the same bytes.

Phrases are found here, in the captions of the kept pairs.
"""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice

from data_filters.sample import (
    METADATA_EXTENSION,
    dump_metadata,
    metadata_member,
    parse_metadata,
    sample_from_members,
)
from pipelines.common.config import config_hash, output_settings
from pipelines.common.files import join, remove_file, remove_partials
from pipelines.curate.config import CurateConfig
from pipelines.curate.decide import Decision
from pipelines.curate.examples import write_examples
from pipelines.curate.scan import Row, Scanned, members_of
from pipelines.curate.sidecar import QUARANTINE
from pipelines.phrases.config import PhrasesConfig, parser
from pipelines.shards.batches import held_in_memory, read_samples
from pipelines.shards.manifest import Manifest, manifest_uri, output_entry, write_manifest
from pipelines.shards.record import (
    LOUPE,
    Hashes,
    ImageFacts,
    LoupeRecord,
    Phrase,
    Source,
    carried_on,
    phrases_at,
)
from pipelines.shards.storage import index_name
from pipelines.shards.stored import Content
from pipelines.shards.unit import Unit
from pipelines.shards.witness import check_unchanged
from pipelines.shards.writer import write_shard


def write_unit(scanned: Scanned, decision: Decision, output: str, config: CurateConfig) -> Manifest:
    """Write one curated shard and commit it; return its manifest. Without kept pairs there is no tar.

    Raises ShardChanged, with nothing committed, when the raw shard is no longer the file that was scanned.
    """
    unit = scanned.unit
    remove_file(manifest_uri(output, unit.name))  # an older commit names files that are replaced now
    remove_partials(output, unit.shard, index_name(unit.shard))
    outputs = []
    if decision.kept:
        written = write_shard(join(output, unit.shard), _kept_samples(unit, decision, config.phrases))
        outputs.append(output_entry(written))
    else:
        for name in (unit.shard, index_name(unit.shard)):
            remove_file(join(output, name))
    write_examples(unit, decision.rejected, output, config.examples)
    quarantined = decision.funnel.quarantined
    manifest = {
        "config_hash": config_hash(config),
        "config": output_settings(config),
        "input": {"uri": unit.uri, "size": unit.size, "sha256": scanned.sha256},
        "outputs": outputs,
        "funnel": asdict(decision.funnel),
        "quarantine": {
            "file": f"{QUARANTINE}/{unit.name}.parquet" if scanned.quarantine else None,
            "count": quarantined,
        },
    }
    if scanned.witness is not None:
        check_unchanged(unit.uri, scanned.witness)
    write_manifest(output, unit.name, manifest)
    return manifest


def _kept_samples(
    unit: Unit, decision: Decision, config: PhrasesConfig | None
) -> Iterator[tuple[str, dict[str, Content]]]:
    """The kept samples by key, with their records; a batch of them is held at a time."""
    rows = sorted(decision.kept, key=lambda row: row["key"])
    left = iter(rows)
    for contents in read_samples(unit.uri, (members_of(row) for row in rows)):
        batch = list(islice(left, len(contents)))
        held = [held_in_memory(parts) for parts in contents]
        phrases = _phrases([row["key"] for row in batch], held, config)
        for row, parts, in_memory, of_caption in zip(batch, contents, held, phrases, strict=True):
            record = _record(unit, row, of_caption)
            yield row["key"], {**parts, **_metadata_with(record, in_memory, keep_phrases=config is None)}


def _phrases(
    keys: list[str], contents: list[dict[str, bytes]], config: PhrasesConfig | None
) -> list[tuple[Phrase, ...]]:
    """Find the phrases of each sample's caption; none without a `config`."""
    if config is None:
        return [() for _ in keys]
    samples = (sample_from_members(key, parts) for key, parts in zip(keys, contents, strict=True))
    captions = [sample.caption or "" for sample in samples]
    spans = parser(config)(captions)
    return [phrases_at(caption, of_caption) for caption, of_caption in zip(captions, spans, strict=True)]


def _record(unit: Unit, row: Row, phrases: tuple[Phrase, ...]) -> LoupeRecord:
    return LoupeRecord(
        source=Source(unit.shard, min(member["offset"] for member in row["members"])),
        image=ImageFacts(row["width"], row["height"], row["format"]),
        hashes=Hashes(caption=row["caption_hash"], image=row["image_hash"]),
        phrases=phrases,
    )


def _metadata_with(
    record: LoupeRecord, contents: dict[str, bytes], *, keep_phrases: bool
) -> dict[str, bytes]:
    """The metadata member with the record in its JSON, which is made where there is none.

    Of a sample that was curated before, source and scores are carried on, and phrases with `keep_phrases`.
    """
    name = metadata_member(contents) or METADATA_EXTENSION
    metadata = parse_metadata(contents[name]) if name in contents else {}
    metadata[LOUPE] = carried_on(record, metadata, keep_phrases=keep_phrases).as_json()
    return {name: dump_metadata(metadata)}
