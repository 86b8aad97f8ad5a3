"""Finds the entries of a list in captions, as MetaCLIP does, and throws the coins that balance them.

Xu et al., Demystifying CLIP Data (2023), section 3 and algorithm 1. As in their released code, spaces are put around
the caption and its marks (full stop, comma, semicolon, colon, question and exclamation mark, backtick), and an entry
matches, in the case in which it is written, where it stands between spaces. Two things are added, so that some entries
match more often, none less: entries are spaced as captions are (`St. Louis` and `U.S.` could never match otherwise),
and runs of white space are one space.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xxhash

from data_filters.errors import InputError
from data_filters.mixing import Hashes, fractions, mix_two

if TYPE_CHECKING:
    import ahocorasick

_SPACING = str.maketrans({mark: f" {mark} " for mark in ",.;:?!`"})


def spaced(text: str) -> str:
    """Put a space around the text, its marks and its words; a text of white space is one space."""
    return f" {' '.join(text.translate(_SPACING).split())} "


def parse_entries(data: bytes, name: str) -> list[str]:
    """Read entries, one per line in UTF-8, or a JSON list of texts; empty and repeated ones are left out.

    Raises InputError, which names the file, when it cannot be read so or holds no entry.
    """
    try:
        text = data.decode("utf-8-sig")
        listed = json.loads(text) if name.endswith(".json") else text.split("\n")
        if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
            raise ValueError("JSON, but no list of texts")
        "".join(listed).encode()  # in JSON a text can hold half of a character
    except (ValueError, RecursionError) as error:  # UnicodeError and JSONDecodeError are ValueErrors
        raise InputError(
            f"entries {name}: {error}; give a UTF-8 text file with one entry per line, or a JSON list of texts"
        ) from error
    entries = list(dict.fromkeys(entry.strip() for entry in listed if entry.strip()))
    if not entries:
        raise InputError(f"entries {name} holds no entry; give one entry per line")
    return entries


def entry_hashes(entries: Sequence[str]) -> Hashes:
    """The hash (xxh3, 64 bits) by which each entry throws its coins, whatever its place in the list."""
    return np.array([xxhash.xxh3_64_intdigest(entry.encode()) for entry in entries], dtype=np.uint64)


class EntryMatcher:
    """Finds which of `entries` a caption has, by an Aho-Corasick automaton that the first caption builds."""

    def __init__(self, entries: Sequence[str], ignore_case: bool = False) -> None:
        self._entries = entries
        self._ignore_case = ignore_case

    def __call__(self, caption: str) -> list[int]:
        """The places in `entries` of those that the caption has, each once, in order."""
        text = spaced(caption.casefold() if self._ignore_case else caption)
        found: set[int] = set()
        for _, places in self._automaton.iter(text):
            found.update(places)
        return sorted(found)

    @cached_property
    def _automaton(self) -> ahocorasick.Automaton:
        import ahocorasick

        # Entries that read alike once spaced or casefolded share a word of the automaton.
        places: dict[str, list[int]] = {}
        for place, entry in enumerate(self._entries):
            places.setdefault(spaced(entry.casefold() if self._ignore_case else entry), []).append(place)
        automaton = ahocorasick.Automaton()
        for word, same in places.items():
            automaton.add_word(word, tuple(same))
        automaton.make_automaton()
        return automaton


def pair_hashes(seed: int, shard: str, keys: Sequence[str]) -> Hashes:
    """The hash by which each pair of a shard throws its coins."""
    of_shard = xxhash.xxh3_64_intdigest(shard.encode(errors="surrogateescape"), seed=seed)
    hashes = (xxhash.xxh3_64_intdigest(key.encode(), seed=of_shard) for key in keys)
    return np.fromiter(hashes, dtype=np.uint64, count=len(keys))


def coins(pairs: Hashes, entries: Hashes) -> npt.NDArray[np.float64]:
    """The coin of each pair for the entry beside it, even in [0, 1): a function of seed, shard, key and entry."""
    return fractions(mix_two(pairs, entries))
