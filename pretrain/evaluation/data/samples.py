"""Samples of raw or curated shards, one after another, with all their captions."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from data_filters.errors import InputError
from data_filters.sample import BrokenSample, Sample, sample_from_members
from pipelines.shards.listing import Kind
from pipelines.shards.listing import find_shards as listed
from pipelines.shards.reader import iterate
from pipelines.shards.tar_format import BrokenShard
from pretrain.data.samples.images import decode

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Picture:
    """One image with the captions that are true of it and its own metadata."""

    key: str
    image: Image.Image
    captions: tuple[str, ...]
    metadata: dict[str, Any]


@dataclass
class SampleStream:
    """Iterating yields the samples below a URI in a fixed order: shards by name, samples as they lie.

    What cannot be read is passed over and counted by reason in `skipped`: a score must say what it left out.
    With `captioned`, so is an image without a caption.
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
        except (ValueError, OSError, SyntaxError, Image.DecompressionBombError):
            self.skipped["broken_image"] += 1
            return None
        return Picture(key, image, captions, sample.metadata or {})


def captions_of(sample: Sample) -> tuple[str, ...]:
    """`captions` of the sample's JSON when it lists any, else its one caption; blank ones do not count."""
    several = (sample.metadata or {}).get("captions")
    if not isinstance(several, list):
        several = [sample.caption]
    return tuple(text for text in several if isinstance(text, str) and text.strip())


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
