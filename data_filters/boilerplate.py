"""Finds captions that a web site writes by itself: `click to enlarge`, `no image available`, a bare `logo`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from data_filters.errors import InputError

PHRASES = (
    "click to enlarge", "click for larger", "click for full size", "click to view", "click here", "click to zoom",
    "view larger image", "view full size", "tap to zoom", "roll over image", "load image into gallery viewer",
    "open media in modal", "image not available", "image unavailable", "no image available", "no photo available",
    "photo not available", "picture not available", "image coming soon", "photo coming soon", "image may contain",
    "thumbnail for", "placeholder image", "default image", "powered by wordpress", "all rights reserved",
    "add to cart", "add to wishlist", "add to basket", "out of stock", "free shipping", "read more",
    "share on facebook", "share this", "follow us on", "sign up for", "subscribe to our", "enable javascript",
    "cookie policy", "privacy policy", "terms of service", "skip to content", "back to top",
    "= image", "= images", "= photo", "= picture", "= logo", "= icon", "= banner", "= avatar", "= thumbnail",
    "= screenshot", "= profile picture", "= profile photo", "= featured image", "= header image",
    "= background image", "= product image", "= untitled", "= no caption", "= image for", "= picture of",
    "= photo of", "= image of",
)  # fmt: skip
"""Entries of `matcher`. Chosen by hand after the frequent texts that the lists of COYO-700M and the CC3M and CC12M
papers speak of; none of them publishes its list."""


_ENDS = " .,:;!?-_\"'()[]"  # punctuation that does not count at the ends of a caption or of a whole entry


def parse_phrases(text: str, where: str) -> tuple[str, ...]:
    """Read entries, one a line; empty lines and those that begin with `#` are left out.

    Raises InputError when there is none, or an entry is `=` alone.
    """
    lines = [line.strip() for line in text.splitlines()]
    entries = tuple(line for line in lines if line and not line.startswith("#"))
    if not entries:
        raise InputError(
            f"{where} has no phrase; write one a line, or leave `file` out to use the shipped list"
        )
    for entry in entries:
        if not normal(entry.removeprefix("=")):
            raise InputError(f"{where} has the entry {entry!r}, which has no text; write a phrase behind it")
    return entries


def normal(caption: str) -> str:
    """A caption as it is compared: lower case, white space collapsed."""
    return " ".join(caption.lower().split())


def matcher(entries: Iterable[str]) -> Callable[[str], str | None]:
    """Make a function from a caption to the first entry in it, None where there is none.

    An entry is found where its words stand in the caption, not inside a longer word; one that begins with `=` must be
    the whole caption, but for punctuation at its ends. First is: whole ones, then those that end earliest, the longest
    of them.
    """
    import ahocorasick

    whole: dict[str, str] = {}
    inside: Any = ahocorasick.Automaton()
    for entry in entries:
        phrase = normal(entry.removeprefix("="))
        if entry.startswith("="):
            # Punctuation at its ends counts no more than at the caption's; one of punctuation alone stands as it is.
            whole.setdefault(phrase.strip(_ENDS) or phrase, entry)
        else:
            inside.add_word(phrase, (len(phrase), entry))
    inside.make_automaton()
    empty = len(inside) == 0

    def find(caption: str) -> str | None:
        text = normal(caption)
        found = whole.get(text.strip(_ENDS) or text)
        if found is not None or empty:
            return found
        for end, (length, entry) in inside.iter(text):
            before, after = end - length, end + 1
            if (before < 0 or not text[before].isalnum() or not text[before + 1].isalnum()) and (
                after == len(text) or not text[after].isalnum() or not text[end].isalnum()
            ):
                return str(entry)
        return None

    return find
