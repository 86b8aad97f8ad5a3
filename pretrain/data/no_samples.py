"""Says why data that a user named holds nothing to train on, in one line."""

from __future__ import annotations

from data_filters.errors import InputError
from pipelines.common.files import filesystem
from pipelines.shards.listing import Kind, find_shards
from pipelines.shards.manifest import read_manifests

_WHY = {
    Kind.FOLDER: "holds neither manifests/*.json nor *.tar; give the output folder of `loupe curate`, or a folder of "
    "WebDataset shards",
    Kind.TAR: "is a hidden file; give a .tar or a folder of them",
    Kind.PATTERN: "is a pattern that no .tar file matches; check the pattern",
    Kind.OTHER_FILE: "is a file, but no .tar; give a .tar or a folder of them",
    Kind.MISSING: "does not exist; give the output folder of `loupe curate`, a folder of shards, or one .tar",
}


def why_no_samples(uri: str) -> str:
    """The line for data without a sample: what it is, and what to give. Raises InputError as `find_shards` does."""
    listing = find_shards(uri)
    if listing.kind is Kind.COMMITTED:
        return f"data {uri!r}: {_kept_none(uri)}"
    if listing.shards:
        return (
            f"data {uri!r} holds {_count(listing.uris, '.tar')} without a sample; check how they were written"
        )
    return f"data {uri!r} {_WHY[listing.kind]}"


def why_not_committed(uri: str) -> str:
    """The line for a dataset of a mixture that has no manifests with samples."""
    listing = find_shards(uri)
    if listing.kind is Kind.COMMITTED or not listing.shards:
        return why_no_samples(uri)
    kind = "one tar" if filesystem(uri)[0].isfile(filesystem(uri)[1]) else "plain tars"
    return (
        f"data {uri!r} is {kind} and holds no manifests; several datasets are mixed only where all are curated: "
        "run `loupe curate` on it and give its output, or train on this one alone"
    )


def _kept_none(uri: str) -> str:
    """What the manifests of a curation that kept nothing say."""
    try:
        manifests = read_manifests(uri)
    except InputError:  # made by something else than `loupe curate`: what it was made of is unknown
        return "its manifests name no samples; give the output of a curation that kept some"
    pairs = sum(int(manifest["funnel"].get("pairs", 0)) for manifest in manifests.values())
    return (
        f"the curation kept none of {pairs:,} pairs ({_count(list(manifests), 'shard')} in its manifests); see "
        f"{uri.rstrip('/')}/report.html for why, and curate again with wider limits into another output"
    )


def _count(names: list[str], noun: str) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"
