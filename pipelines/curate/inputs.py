"""Checks what a run is given: the raw shards of the input, and whether the output folder may be used."""

from __future__ import annotations

import posixpath
from concurrent.futures import ThreadPoolExecutor

from data_filters.errors import InputError
from pipelines.common.files import filesystem
from pipelines.curate.commits import Slim
from pipelines.curate.first_pair import missing_pair
from pipelines.shards.listing import Kind, find_shards
from pipelines.shards.manifest import Manifest, read_own_and_foreign
from pipelines.shards.unit import Unit

ASKED_AT_ONCE = 16  # requests for the size of a shard that are under way at the same time


def find_units(input: str) -> list[Unit]:
    """List the raw shards of a folder, a single tar, or a pattern with `*`, by name (`pipelines.shards.listing`).

    Raises InputError when there are none, or two of one name.
    """
    listing = find_shards(input)
    if not listing.shards:
        raise InputError(f"input {input}{_NO_SHARDS[listing.kind]}")
    fs, _ = filesystem(input)
    paths = [filesystem(shard.uri)[1] for shard in listing.shards]
    first: dict[str, str] = {}
    for shard, path in zip(listing.shards, paths, strict=True):
        if shard.name in first:
            raise InputError(
                f"input {input}: two shards are called {shard.name}.tar ({first[shard.name]} and {path}); "
                "a run needs a name once; curate the folders one by one"
            )
        first[shard.name] = path
    sizes = [shard.size for shard in listing.shards]
    unknown = [
        place for place, size in enumerate(sizes) if size is None
    ]  # alone in a folder, or on a web server
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        for place, size in zip(unknown, pool.map(fs.size, [paths[place] for place in unknown]), strict=True):
            sizes[place] = size
    return [
        Unit(shard.name, shard.uri, int(size or 0)) for shard, size in zip(listing.shards, sizes, strict=True)
    ]


_NO_SHARDS = {
    Kind.COMMITTED: " has manifests that name no shard; let `loupe curate` finish there, or give raw shards",
    Kind.FOLDER: " is a folder without .tar files; expected WebDataset shards (KEY.jpg and KEY.txt or KEY.json in "
    "tars); check the path",
    Kind.TAR: " is a hidden file; give a .tar or a folder of them",
    Kind.PATTERN: ": no .tar file matches; check the pattern",
    Kind.OTHER_FILE: " is a file, but no .tar; give a .tar or a folder of them",
    Kind.MISSING: " does not exist; give a folder with .tar shards, or one .tar",
}
"""What to say of an input without shards, after its name."""


def require_pairs(units: list[Unit], input: str) -> None:
    """Raise InputError unless some shard holds an image with a caption; reads headers up to the first pair."""
    there = None
    for unit in units:
        fault = missing_pair(unit)
        if fault is None:
            return
        there = there or fault
    raise InputError(
        f"input {input}: no image-text pair in {len(units)} shard{'s' if len(units) > 1 else ''}; a pair is "
        f"KEY.jpg (or jpeg, png, webp) with KEY.txt, or with KEY.json that has a field `caption`; {there}"
    )


def check_output(units: list[Unit], input: str, output: str) -> dict[str, Manifest]:
    """Read the manifests of `output`, by unit, as `pipelines.curate.commits.Slim` leaves them.

    Raises InputError when writing there would destroy something.
    """
    fs, folder = filesystem(output)
    if fs.exists(folder) and not fs.isdir(folder):
        raise InputError(f"output {output} is a file; give a folder")
    committed, foreign = read_own_and_foreign(output, Slim())
    for unit in units:
        target = posixpath.join(folder, unit.shard)
        if filesystem(unit.uri)[1] == target:
            raise InputError(f"output {output} is the folder of the input {input}; choose another output")
        if unit.name in foreign:
            raise InputError(
                f"output {output} holds manifests/{unit.name}.json, which this command did not write; choose "
                "another output folder"
            )
    if not committed and _has_foreign_tars(output):
        raise InputError(
            f"output {output} holds .tar files that this command did not write; choose another output folder"
        )
    return committed


def _has_foreign_tars(output: str) -> bool:
    """Whether there are tars, but no folder `scores/`, which this command writes before the first tar."""
    fs, folder = filesystem(output)
    if not fs.isdir(folder) or fs.isdir(posixpath.join(folder, "scores")):
        return False
    return any(name.endswith(".tar") for name in fs.ls(folder, detail=False))
