"""Samples of raw or curated shards, one after another, with all their captions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from data_filters.decode import decode
from data_filters.errors import InputError
from data_filters.sample import (
    CAPTION_EXTENSION,
    IMAGE_EXTENSIONS,
    METADATA_EXTENSION,
    BrokenSample,
    Sample,
    parse_metadata,
    sample_from_members,
)
from pipelines.common.files import filesystem
from pipelines.shards.listing import Kind
from pipelines.shards.listing import find_shards as listed
from pipelines.shards.tar_format import BrokenShard
from pretrain.evaluation.data.foreign_json import text_of
from pretrain.evaluation.data.shard_samples import members_of, read_metadata, read_samples


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
    caption are passed over as well, and `broken_caption` counts what an image's list of captions holds beside texts.
    """

    uri: str
    captioned: bool = True
    skipped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.shards = find_shards(self.uri)

    def __iter__(self) -> Iterator[Picture]:
        for shard in self.shards:
            for key, members in read_samples(shard, self.skipped):
                picture = self._read(key, members)
                if picture is not None:
                    yield picture

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
        unusable = len(_listed_captions(sample)) - len(captions)
        if self.captioned and unusable:
            self.skipped["broken_caption"] += unusable
        return Picture(key, image, captions, sample.metadata or {})


def reason_of(error: Exception) -> str:
    """The name under which a picture that cannot be read is counted: its own reason, or the storage's."""
    if isinstance(error, BrokenSample):
        return error.reason
    return "broken_shard" if isinstance(error, BrokenShard) else "unreadable_file"


def in_words(skipped: Mapping[str, int]) -> str:
    """Reasons with their numbers, for a message: `no_image 2, broken_image 1`; `none` where there are none."""
    return ", ".join(f"{reason} {count}" for reason, count in skipped.items()) or "none"


def captions_of(sample: Sample) -> tuple[str, ...]:
    """`captions` of the sample's JSON when it lists any, else its one caption; blank ones do not count."""
    return tuple(text for text in map(text_of, _listed_captions(sample)) if text is not None)


def _listed_captions(sample: Sample) -> list[object]:
    captions = (sample.metadata or {}).get("captions")
    return captions if isinstance(captions, list) else [sample.caption]


def count_pairs(data: str) -> int:
    """How many samples have an image and a member that can hold a caption; nothing but the shards' index is read."""
    parts: dict[tuple[str, str], set[str]] = {}
    for shard in find_shards(data):
        for member in members_of(shard):
            parts.setdefault((shard, member.key), set()).add(member.extension.lower())
    texts = {CAPTION_EXTENSION, METADATA_EXTENSION}
    return sum(bool(found & texts) and not found.isdisjoint(IMAGE_EXTENSIONS) for found in parts.values())


def iterate_metadata(shards: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The JSON object of every sample that has one; no image is read."""
    for shard in shards:
        for text in read_metadata(shard):
            try:
                yield parse_metadata(text)
            except BrokenSample:
                continue


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
    fs, path = filesystem(uri)
    what = "a file that is no .tar" if fs.isfile(path) else "not there"
    raise InputError(
        f"data is {uri!r}, which is {what}; give a folder of shards (raw or curated) or one .tar"
    )
