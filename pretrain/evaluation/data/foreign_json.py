"""Reads JSON that others wrote: whole files, and values whose type nobody has checked."""

from __future__ import annotations

import json
import math
from typing import Any

from data_filters.errors import InputError
from pipelines.common.files import filesystem

LARGEST = 1e7
"""The largest number that is taken for pixels: no image is ten million pixels wide."""


# Any: what JSON holds; the caller finds out whether it is what it needs.
def load_json(uri: str, option: str, remedy: str) -> Any:
    """The content of a JSON file, UTF-8, UTF-16 or UTF-32.

    Raises InputError, which names `option`, the file and what is wrong, and ends with `remedy`: a file that is not
    there, cannot be read, is empty, no JSON, or nested more deeply than Python reads.
    """
    try:
        fs, path = filesystem(uri)
        data = fs.cat_file(path)
        if not data.strip():
            raise InputError(f"{option} {uri!r} is empty; {remedy}")
        return json.loads(data)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{option} is {uri!r}, which is not there; {remedy}") from None
    except RecursionError:
        raise InputError(f"{option} {uri!r} is nested too deeply to be read; {remedy}") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError among them
        raise InputError(f"{option} {uri!r} is no JSON ({error}); {remedy}") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"{option} {uri!r} cannot be read ({reason}); {remedy}") from error


def text_of(value: object) -> str | None:
    """The value where it is a text with a visible character that UTF-8 can hold, else None."""
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate, which JSON can carry and no tokenizer reads
        return None
    return value


def number_of(value: object) -> float | None:
    """The value where it is a number of a size that pixels can have, else None: no text, no NaN, no infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared before it is converted: an integer of JSON may be too large for a float.
    return float(value) if -LARGEST <= value <= LARGEST and math.isfinite(value) else None


def whole_number_of(value: object) -> int | None:
    """The value where it is an integer, or a float without fraction, else None; true and false are no numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def identity_of(value: object) -> int | str | None:
    """The value where it can name an entry (a whole number or a text), else None."""
    return text_of(value) if isinstance(value, str) else whole_number_of(value)
