"""What a run is given: the raw shards of an input, and whether the output folder may be used."""

import posixpath
from typing import Any

from data_filters.errors import InputError
from data_filters.sample import CAPTION_EXTENSION, METADATA_EXTENSION, image_member
from pipelines.common.files import filesystem
from pipelines.curate.scan import Unit
from pipelines.shards.manifest import committed_shards, read_manifests
from pipelines.shards.reader import group, walk
from pipelines.shards.tar_format import BrokenShard


def find_units(input: str) -> list[Unit]:
    """The raw shards of a folder, a single tar, or a pattern with `*`, by name.

    Hidden files are passed over; where the folder has manifests, only the tars that they name count.
    Raises InputError when there are none.
    """
    fs, path = filesystem(input)
    if any(letter in path for letter in "*?["):
        paths = [found for found in fs.glob(path) if found.endswith(".tar")]
        if not paths:
            raise InputError(f"input {input}: no .tar file matches; check the pattern")
    elif fs.isdir(path):
        named = committed_shards(input)
        paths = [filesystem(shard.uri)[1] for shard in named] or [
            found for found in fs.ls(path, detail=False) if found.endswith(".tar")
        ]
        if not paths:
            raise InputError(
                f"input {input} is a folder without .tar files; expected WebDataset shards (KEY.jpg and KEY.txt "
                "or KEY.json in tars); check the path"
            )
    elif fs.exists(path):
        if not path.endswith(".tar"):
            raise InputError(f"input {input} is a file, but no .tar; give a .tar or a folder of them")
        paths = [path]
    else:
        raise InputError(f"input {input} does not exist; give a folder with .tar shards, or one .tar")
    units: dict[str, Unit] = {}
    for found in sorted(paths, key=lambda found: (posixpath.basename(found), found)):
        name = posixpath.basename(found).removesuffix(".tar")
        if name.startswith("."):
            continue
        if name in units:
            raise InputError(
                f"input {input}: two shards are called {name}.tar ({filesystem(units[name].uri)[1]} and {found}); "
                "a run needs a name once; curate the folders one by one"
            )
        units[name] = Unit(name, fs.unstrip_protocol(found) if _remote(input) else found, int(fs.size(found)))
    return list(units.values())


def require_pairs(units: list[Unit], input: str) -> None:
    """Raise InputError unless some shard holds an image with a caption; reads headers up to the first pair."""
    for unit in units:
        try:
            for _, members in group(walk(unit.uri)):
                names = [member.extension for member in members]
                lower = {name.lower() for name in names}
                if image_member(dict.fromkeys(names)) and lower & {CAPTION_EXTENSION, METADATA_EXTENSION}:
                    return
        except BrokenShard:
            continue  # the scan will say where and why
    raise InputError(
        f"input {input}: no image-text pair in {len(units)} shard{'s' if len(units) > 1 else ''}; a pair is "
        "KEY.jpg (or jpeg, png, webp) with KEY.txt, or with KEY.json that has a field `caption`"
    )


def check_output(units: list[Unit], input: str, output: str) -> dict[str, dict[str, Any]]:
    """The units that `output` holds already. Raises InputError when writing there would destroy something."""
    fs, folder = filesystem(output)
    if fs.exists(folder) and not fs.isdir(folder):
        raise InputError(f"output {output} is a file; give a folder")
    committed = read_manifests(output)
    for unit in units:
        target = posixpath.join(folder, unit.shard)
        if filesystem(unit.uri)[1] == target:
            raise InputError(f"output {output} is the folder of the input {input}; choose another output")
        manifest = committed.get(unit.name)
        if manifest is None:
            continue
        there = manifest["input"]
        if (there["uri"], there["size"]) != (unit.uri, unit.size):
            raise InputError(
                f"output {output} holds results of {there['uri']} ({there['size']} bytes), this run reads "
                f"{unit.uri} ({unit.size} bytes) under the same name; choose another output folder"
            )
    if not committed and _has_foreign_tars(output):
        raise InputError(
            f"output {output} holds .tar files that this command did not write; choose another output folder"
        )
    return committed


def _has_foreign_tars(output: str) -> bool:
    """Tars without our scan folder beside them: a folder of ours has that before it has a tar."""
    fs, folder = filesystem(output)
    if not fs.isdir(folder) or fs.isdir(posixpath.join(folder, "scan")):
        return False
    return any(name.endswith(".tar") for name in fs.ls(folder, detail=False))


def _remote(input: str) -> bool:
    return "://" in input
