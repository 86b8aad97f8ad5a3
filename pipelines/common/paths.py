"""Tells local paths from URIs, and checks that results can be written where a user wants them."""

from __future__ import annotations

import os
import re

from fsspec import available_protocols

from data_filters.errors import InputError

_ONE_SLASH = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/(?!/)")


def local_path(text: str | os.PathLike[str]) -> str | None:
    """The absolute local path that a text names, `~` and `file://` included; None for a URI of another storage.

    Raises InputError for a URI that lacks a slash (`s3:/bucket`), which would name a local folder `s3:`.
    """
    path = os.fspath(text)
    if path.startswith(("file:/", "local:/")):
        return os.path.abspath("/" + path.partition(":")[2].lstrip("/"))
    if "://" in path:
        return None
    protocol = _ONE_SLASH.match(path)
    if protocol and protocol[1] in available_protocols() and not os.path.exists(f"{protocol[1]}:"):
        raise InputError(
            f"{path!r} is neither a path nor a URI; write {protocol[1]}://{path[protocol.end() :]} for the storage, or "
            f"./{path} for a local folder of this name"
        )
    return os.path.abspath(os.path.expanduser(path))


def require_local(what: str, text: str | os.PathLike[str]) -> str:
    """The absolute local path that a text names; `what` names the option. Raises InputError for a URI."""
    path = local_path(text)
    if path is None:
        raise InputError(
            f"{what} is {os.fspath(text)!r}; allowed are local paths, since this is not written to URIs; "
            f"set {what} to a local path and copy the results afterwards"
        )
    return path


def check_folder(what: str, path: str) -> list[str]:
    """Check that a folder may be made at a local path, or written into where it exists; nothing is written.

    Returns the folders that are missing, the deepest first. Raises InputError in one line: `what` is a file, lies
    below a file, or may not be written.
    """
    if "\0" in path:
        raise InputError(f"{what} is {path!r}, which is no path; give one without NUL characters")
    missing = []
    above = path
    while not os.path.lexists(above):
        missing.append(above)
        above = os.path.dirname(above)
    if not os.path.isdir(above):
        kind = "a file" if os.path.exists(above) else "a link that leads nowhere"
        where = f"is {kind}" if above == path else f"cannot be made, since {above} is {kind}"
        raise InputError(f"{what} {path} {where}; give a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        where = "may not be written" if above == path else f"cannot be made, since {above} may not be written"
        raise InputError(
            f"{what} {path} {where} (by its permissions, or a read-only file system); give another folder"
        )
    return missing


def check_file(what: str, path: str) -> None:
    """Check that a file may be written at a local path. Raises InputError in one line as `check_folder` does."""
    if os.path.isdir(path):
        raise InputError(f"{what} {path} is a folder; give a file")
    check_folder(f"the folder of {what}", os.path.dirname(path))


def writable_folder(what: str, path: str) -> list[str]:
    """Make a local folder; returns the folders made, the deepest first. Raises InputError as `check_folder` does."""
    missing = check_folder(what, path)
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise InputError(f"{what} {path}: {error.strerror}; give another folder") from error
    return missing
