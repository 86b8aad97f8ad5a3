"""Names of members in a shard: KEY.EXT, and which of them are safe to write and to store."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[\w.-]+", re.ASCII)  # nearly all names; told at once


def split_name(name: str) -> tuple[str, str] | None:
    """Split a member's name into (key, extension); None when it belongs to no sample."""
    name = name.removeprefix("./")
    base = name.rfind("/") + 1
    dot = name.find(".", base)
    if dot <= base or dot == len(name) - 1:
        return None
    return name[:dot], name[dot + 1 :]


def fault_of_name(name: str) -> str | None:
    """Say what is wrong with a member's name; None for a safe one.

    Unsafe is what leaves the folder that a tar is unpacked in on some system (`..` as a part, `/` in front, a
    backslash), and what cannot stand in a file name or in UTF-8 text (NUL, bytes that are not UTF-8).
    """
    if _PLAIN.fullmatch(name) and name != "..":
        return None
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "bytes that are not UTF-8"
    if "\0" in name:
        return "a NUL character"
    if "\\" in name:
        return "a backslash"
    if name.startswith("/"):
        return "a slash in front"
    return "a part `..`" if ".." in name.split("/") else None


def printable(text: str) -> str:
    """The text with what UTF-8 cannot hold written as escapes: a name in Latin-1 becomes `caf\\udce9`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
