"""Samples of raw or curated shards, one after another, with all their captions."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from data_filters.decode import decode
from data_filters.errors import InputError
from data_filters.sample import BrokenSample, Sample, sample_from_members
from pipelines.shards.listing import Kind
from pipelines.shards.listing import find_shards as listed
from pipelines.shards.reader import iterate, read_index, read_members
from pipelines.shards.tar_format import BrokenShard

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Picture:
    """One image with the captions that are true of it and its metadata."""

    key: str
    image: Image.Image
    captions: tuple[str, ...]
    metadata: dict[str, Any]


@dataclass
class SampleStream:
    """Yields the samples below a URI in a fixed order: shards by name, samples in the order of the tar.

    Samples that cannot be read are passed over; `skipped` counts them by reason. With `captioned`, images without a
    caption are passed over as well.
    """

    uri: str
    captioned: bool = True
    skipped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.shards = find_shards(self.uri)

    def __iter__(self) -> Iterator[Picture]:
        for shard in self.shards:
            try:
                for key, members in iterate(shard):
                    picture = self._read(key, members)
                    if picture is not None:
                        yield picture
            except BrokenShard as broken:
                logger.warning("%s; the samples after it are left out", broken)
                self.skipped["broken_shard"] += 1

    def _read(self, key: str, members: dict[str, bytes]) -> Picture | None:
        try:
            sample = sample_from_members(key, members)
        except BrokenSample as broken:
            self.skipped[broken.reason] += 1
            return None
        captions = captions_of(sample)
        if sample.image is None or (self.captioned and not captions):
            self.skipped["no_image" if sample.image is None else "no_caption"] += 1
            return None
        try:
            image = decode(sample.image)
        except BrokenSample as broken:
            self.skipped[broken.reason] += 1
            return None
        return Picture(key, image, captions, sample.metadata or {})


def reason_of(error: Exception) -> str:
    """The name under which a picture that cannot be read is counted: its own reason, or the storage's."""
    if isinstance(error, BrokenSample):
        return error.reason
    return "broken_shard" if isinstance(error, BrokenShard) else "unreadable_file"


def captions_of(sample: Sample) -> tuple[str, ...]:
    """`captions` of the sample's JSON when it lists any, else its one caption; blank ones do not count."""
    captions = (sample.metadata or {}).get("captions")
    if not isinstance(captions, list):
        captions = [sample.caption]
    return tuple(text for text in captions if isinstance(text, str) and text.strip())


def iterate_metadata(shards: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The JSON object of every sample that has one; the images are not read."""
    for shard in shards:
        members = [member for member in read_index(shard) if member.extension == "json"]
        for text in read_members(shard, members):
            try:
                metadata = json.loads(text)
            except ValueError:
                continue
            if isinstance(metadata, dict):
                yield metadata


def find_shards(uri: str) -> list[str]:
    """The tars that a folder, one .tar or a pattern names, see `pipelines.shards.listing`.

    Raises InputError when there is none.
    """
    listing = listed(uri)
    if listing.shards:
        return listing.uris
    if listing.kind is Kind.COMMITTED:
        raise InputError(f"data is {uri!r}, whose manifests name no shard; let `loupe curate` finish first")
    if listing.kind is Kind.FOLDER:
        raise InputError(f"data is {uri!r}, which holds no .tar; give a folder of shards (raw or curated)")
    raise InputError(
        f"data is {uri!r}, which is not there; give a folder of shards (raw or curated) or one .tar"
    )
