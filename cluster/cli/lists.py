"""Options that are lists, written as a,b."""

from __future__ import annotations

from data_filters.errors import InputError


def words(text: str) -> list[str]:
    """`a, b` as ["a", "b"]."""
    return [word.strip() for word in text.split(",") if word.strip()]


def integers(option: str, text: str) -> list[int]:
    """`0,1` as [0, 1]. Raises InputError naming the option."""
    try:
        return [int(word) for word in words(text)]
    except ValueError:
        raise InputError(f"{option} is {text!r}; give whole numbers with commas, such as 0,1,2") from None
