"""Phase C: survivors only, from the raw shard to the curated one.

One raw shard is one unit of commit: tar and index, examples for the report, and last the manifest. A unit without a
manifest does not exist; running it again gives the same bytes.

Phrases are found here, in the captions that survived; models that must see pixels (safety, image-text matching) join
in the same place: between `read_members` and `_with_facts`.
"""

import base64
import io
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from data_filters.phrases import PhraseExtractor
from data_filters.sample import (
    METADATA_EXTENSION,
    dump_metadata,
    image_member,
    parse_metadata,
    sample_from_members,
)
from pipelines.common.config import config_hash, output_settings
from pipelines.common.files import join, remove_file, remove_partials, write_json
from pipelines.curate.config import CurateConfig
from pipelines.curate.decide import Decision, Rejected
from pipelines.curate.scan import QUARANTINE, READ_AHEAD, Scanned, Unit
from pipelines.phrases.config import PhrasesConfig
from pipelines.phrases.records import phrase_records
from pipelines.shards.manifest import write_manifest
from pipelines.shards.reader import read_members
from pipelines.shards.storage import index_name
from pipelines.shards.tar_format import Member
from pipelines.shards.writer import write_shard

EXAMPLES = "examples"
THUMBNAIL = 128  # pixels, the longer side of an example's picture
CAPTION_SHOWN = 300  # characters of an example's caption


def stream(found: Scanned, decision: Decision, output: str, config: CurateConfig) -> dict[str, Any]:
    """Write one curated shard and commit it; return its manifest. With no survivors there is no tar."""
    unit = found.unit
    remove_partials(output, unit.name)
    outputs = []
    if decision.kept:
        tar = f"{unit.name}.tar"
        written = write_shard(join(output, tar), _survivors(unit, decision, config.phrases))
        outputs.append(
            {
                "tar": tar,
                "index": index_name(tar),
                "samples": written.samples,
                "size": written.size,
                "sha256": written.sha256,
            }
        )
    _write_examples(unit, decision, output, config)
    quarantined = decision.funnel.quarantined
    manifest = {
        "config_hash": config_hash(config),
        "config": output_settings(config),
        "input": {"uri": unit.uri, "size": unit.size, "sha256": found.sha256},
        "outputs": outputs,
        "funnel": asdict(decision.funnel),
        "quarantine": {
            "file": f"{QUARANTINE}/{unit.name}.parquet" if quarantined else None,
            "count": quarantined,
        },
    }
    write_manifest(output, unit.name, manifest)
    return manifest


def _survivors(
    unit: Unit, decision: Decision, phrases: PhrasesConfig | None
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The kept samples by key, a bounded number of bytes at a time."""
    rows = sorted(decision.kept, key=lambda row: row["key"])
    for batch in _bounded(rows):
        members = [member for row in batch for member in _members(row)]
        data = iter(read_members(unit.uri, members))
        contents = [{member["extension"]: next(data) for member in row["members"]} for row in batch]
        found = _phrases([row["key"] for row in batch], contents, phrases)
        for row, parts, records in zip(batch, contents, found, strict=True):
            yield row["key"], _with_facts(unit, row, parts, records)


def _phrases(
    keys: list[str], contents: list[dict[str, bytes]], config: PhrasesConfig | None
) -> list[list[dict[str, Any]]]:
    """The phrases of each sample's caption, as the curated shard holds them."""
    if config is None:
        return [[] for _ in keys]
    samples = (sample_from_members(key, parts) for key, parts in zip(keys, contents, strict=True))
    captions = [sample.caption or "" for sample in samples]
    spans = _extractor(config)(captions)
    return [phrase_records(caption, found) for caption, found in zip(captions, spans, strict=True)]


@lru_cache(maxsize=1)
def _extractor(config: PhrasesConfig) -> PhraseExtractor:
    """One parser a process: a Ray worker takes many shards, and loading takes longer than parsing one."""
    return config.load()


def _with_facts(
    unit: Unit, row: dict[str, Any], contents: dict[str, bytes], phrases: list[dict[str, Any]]
) -> dict[str, bytes]:
    """The members as they came, with the object `loupe` in the JSON; the JSON is made where there is none."""
    name = next((name for name in contents if name.lower() == METADATA_EXTENSION), METADATA_EXTENSION)
    metadata = parse_metadata(contents[name]) if name in contents else {}
    metadata["loupe"] = {
        "source": {"shard": unit.shard, "offset": min(member["offset"] for member in row["members"])},
        "image": {name: row[name] for name in ("width", "height", "format")},
        "scores": {},
        "phrases": phrases,
        "hashes": {"caption": row["caption_hash"], "image": row["image_hash"]},
    }
    return {**contents, name: dump_metadata(metadata)}


def _members(row: dict[str, Any]) -> list[Member]:
    return [Member(row["key"], m["extension"], m["offset"], m["length"]) for m in row["members"]]


def _bounded(rows: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    held = 0
    for row in rows:
        batch.append(row)
        held += sum(member["length"] for member in row["members"])
        if held >= READ_AHEAD:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


# --- examples for the report ---------------------------------------------------------------------------------


def _write_examples(unit: Unit, decision: Decision, output: str, config: CurateConfig) -> None:
    """The first few rejected pairs of every filter, by key, with a small picture."""
    chosen: dict[str, list[Rejected]] = {}
    for rejected in sorted(decision.rejected, key=lambda rejected: rejected.row["key"]):
        of_filter = chosen.setdefault(rejected.drop.reason, [])
        if len(of_filter) < config.examples:
            of_filter.append(rejected)
    examples = []
    for rejected in (one for name in sorted(chosen) for one in chosen[name]):
        members = _members(rejected.row)
        contents = dict(zip((m.extension for m in members), read_members(unit.uri, members), strict=True))
        sample = sample_from_members(rejected.row["key"], contents)
        image = image_member(contents)
        examples.append(
            {
                "filter": rejected.drop.reason,
                "shard": unit.shard,
                "key": rejected.row["key"],
                "value": rejected.drop.value,
                "limit": rejected.drop.limit,
                "width": rejected.row["width"],
                "height": rejected.row["height"],
                "caption": (sample.caption or "")[:CAPTION_SHOWN],
                "picture": _thumbnail(contents[image]) if image else "",
            }
        )
    uri = join(output, EXAMPLES, f"{unit.name}.json")
    if examples:
        write_json(uri, examples, ensure_ascii=True, end="")
    else:
        remove_file(uri)


def _thumbnail(data: bytes) -> str:
    """A small JPEG as base64; empty when the image does not decode, which a header cannot tell."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (THUMBNAIL, THUMBNAIL))
            small = image.convert("RGB")
            small.thumbnail((THUMBNAIL, THUMBNAIL))
    except Exception:  # foreign bytes: any decoder error means "no picture"
        return ""
    out = io.BytesIO()
    small.save(out, "JPEG", quality=70)
    return base64.b64encode(out.getvalue()).decode("ascii")
