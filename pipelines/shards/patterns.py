"""Finds the files that a pattern names: `*`, `?` and `[...]` as shells have them, `{a..b}` and `{a,b}` as WebDataset.

A name that exists is itself, whatever characters it has: this holds for the whole path and for every folder on the
way, so that `set [2024]/{00000..00099}.tar` is found in a folder that is called `set [2024]`.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase

from braceexpand import braceexpand
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from data_filters.errors import InputError

MOST_NAMES = 10_000_000
_RANGE = re.compile(r"\{(-?\d+)\.\.(-?\d+)")
_WILD = "*?["
_ANY_DEPTH = "**"
_ASKED_SINGLY = 16  # names of a folder that are looked up one by one before the folder is listed


def is_pattern(path: str) -> bool:
    """Whether a path has characters that make a pattern of it where nothing has that very name."""
    return "{" in path or is_wild(path)


def is_wild(part: str) -> bool:
    """Whether a part of a path has a wild card."""
    return any(letter in part for letter in _WILD)


def matches(fs: AbstractFileSystem, path: str) -> list[str]:
    """The paths that a pattern names, in the order in which they are found; `[]` when there are none.

    Names in braces were written out one by one, so all have to exist. Raises InputError naming the first that does
    not, unless it has a wild card.
    """
    head, tail = _existing_head(fs, path)
    if not tail:
        return [path]
    found: dict[str, None] = {}
    there = _Existence(fs)
    for rest in _expanded(path, tail):
        names = list(_walk(there, head, rest.split("/")))
        if not names and "{" in tail and not is_wild(rest):
            raise InputError(
                f"{path} names {posixpath.join(head, rest)}, which does not exist; mend the range, or the missing file"
            )
        found.update(dict.fromkeys(names))
    return list(found)


def _existing_head(fs: AbstractFileSystem, path: str) -> tuple[str, str]:
    """(the folder down to which no name has to be matched, the rest of the path)."""
    parts = path.split("/")
    head = 0
    for number in range(len(parts)):
        if is_pattern(parts[number]) and not fs.exists("/".join(parts[: number + 1])):
            break
        head = number + 1
    return "/".join(parts[:head]) or ("/" if path.startswith("/") else ""), "/".join(parts[head:])


def _expanded(path: str, tail: str) -> Iterator[str]:
    """The names that the braces in `tail` stand for."""
    if "{" not in tail:
        yield tail
        return
    names = math.prod(abs(int(last) - int(first)) + 1 for first, last in _RANGE.findall(tail))
    if names > MOST_NAMES:  # all of them are made in memory
        raise InputError(f"{path} stands for {names:,} names; allowed are {MOST_NAMES:,}; mend the range")
    try:
        yield from braceexpand(tail)
    except ValueError as error:
        raise InputError(
            f"{path} does not exist, and is no pattern: {error}; write ranges as {{00000..00099}}"
        ) from error


def can_list(fs: AbstractFileSystem) -> bool:
    """Whether folders can be listed; a web server need not answer when it is asked for one."""
    return "http" not in fs.protocol


class _Existence:
    """Whether paths exist: where many of one folder are asked for, by one listing rather than a request for each."""

    def __init__(self, fs: AbstractFileSystem) -> None:
        self.fs = fs
        self._asked: Counter[str] = Counter()
        self._listed: dict[str, set[str]] = {}

    def has(self, path: str) -> bool:
        """Whether the path exists."""
        # The local listing names links that lead nowhere, and to look one up costs microseconds.
        if can_list(self.fs) and not isinstance(self.fs, LocalFileSystem):
            folder = posixpath.dirname(path)
            self._asked[folder] += 1
            if self._asked[folder] == _ASKED_SINGLY and self.fs.isdir(folder):
                self._listed[folder] = {name.rstrip("/") for name in self.fs.ls(folder, detail=False)}
            if path in self._listed.get(folder, ()):
                return True
        return bool(self.fs.exists(path))


def _walk(there: _Existence, folder: str, parts: list[str]) -> Iterator[str]:
    """The paths below a folder that match one part of a pattern after the other."""
    fs = there.fs
    part, rest = parts[0], parts[1:]
    path = posixpath.join(folder, part)
    if not is_wild(part) or fs.exists(path):
        found = [path]
    elif part == _ANY_DEPTH and rest:
        yield from _walk(there, folder, rest)
        found, rest = [name for name in _entries(fs, folder) if fs.isdir(name)], parts
    else:
        found = [name for name in _entries(fs, folder) if fnmatchcase(posixpath.basename(name), part)]
    for name in found:
        if rest:
            yield from _walk(there, name, rest)
        elif there.has(name):
            yield name


def _entries(fs: AbstractFileSystem, folder: str) -> list[str]:
    """The paths in a folder, by name; hidden ones are passed over."""
    if not fs.isdir(folder):
        return []
    names = sorted(name.rstrip("/") for name in fs.ls(folder, detail=False))
    return [name for name in names if not posixpath.basename(name).startswith(".")]
