"""What a checkpoint's folder must hold: the list of its files with sizes and hashes, and what is wrong with a folder.

`state.json` holds the list under `files`: path below the folder → [bytes, xxh3-64 as 16 hex digits]. The hash is taken
of what the file system gives back after writing. A checkpoint of an earlier version has no list; it is accepted when
its files can be opened (a cut file cannot).
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import xxhash
from safetensors import SafetensorError, safe_open

STATE, WEIGHTS = "state.json", "model.safetensors"
_CHUNK = 1 << 22

Listing = dict[str, tuple[int, str]]
"""Path below the checkpoint's folder → (bytes, xxh3-64)."""


def list_files(folder: Path) -> Listing:
    """Return size and hash of each file below a folder. `state.json`, which holds the list, is left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / STATE)
    return {path.relative_to(folder).as_posix(): (path.stat().st_size, _hash(path)) for path in files}


def fault_of(folder: Path, *, only_weights: bool = False) -> str | None:
    """Return what is wrong with a checkpoint in a few words, or None when it can be trusted.

    With `only_weights` only `state.json` and `model.safetensors` are looked at: enough for an export and for
    `start.weights`, also where the engine's state was left behind. Every listed file is read once. Files that are not
    listed (a converted copy of the state) are not looked at.
    """
    try:
        state = json.loads((folder / STATE).read_text())
        listing = state.get("files")
        if listing is not None:
            listing = {name: (int(size), str(digest)) for name, (size, digest) in listing.items()}
            listing[WEIGHTS]  # KeyError: the list is not one of a checkpoint
        int(state["step"])  # KeyError: not what a checkpoint's writer leaves, in any version
        if not only_weights:  # what resuming reads besides
            int(state["ranks"]), str(state["config_hash"])
    except FileNotFoundError:
        return f"{STATE} is missing"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{STATE} cannot be read"
    if listing is None:
        return _fault_without_listing(folder, only_weights)
    if only_weights:
        listing = {WEIGHTS: listing[WEIGHTS]}
    for name, (size, digest) in listing.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes, {size} were written"
        try:
            same = _hash(path) == digest
        except OSError as error:
            return f"{name} cannot be read ({error.strerror})"
        if not same:
            return f"{name} has changed since it was written"
    return None


def _fault_without_listing(folder: Path, only_weights: bool) -> str | None:
    """Return the first file of an earlier version's checkpoint that cannot be opened, or None."""
    try:
        with safe_open(folder / WEIGHTS, "pt") as weights:
            weights.keys()
    except (SafetensorError, OSError):
        return f"{WEIGHTS} is missing" if not (folder / WEIGHTS).exists() else f"{WEIGHTS} is cut or empty"
    if only_weights:
        return None
    # torch.save writes a zip archive, whose directory stands at its end.
    states = [*folder.glob("*.pt"), *(folder / "engine").glob("*.pt")]
    if not states:
        return "the engine's state is missing"
    return next(
        (
            f"{path.relative_to(folder)} is cut or empty"
            for path in sorted(states)
            if not zipfile.is_zipfile(path)
        ),
        None,
    )


def _hash(path: Path) -> str:
    """Return the xxh3-64 of a file's bytes."""
    digest = xxhash.xxh3_64()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
