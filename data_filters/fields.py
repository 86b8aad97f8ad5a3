"""Looks up a field of KEY.json and brings its value to what can be compared: a text, a number, a host, or a fault.

Nothing in a value raises: metadata of the web holds lists, NaN and anything else.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MOST_TEXT = 10_000
"""Characters of a value that is compared; longer ones are a fault."""


@dataclass(frozen=True)
class Value:
    """A field's value: `text` as compared (None where it is missing or a fault), `number` (NaN where it is none), and
    `fault`: why it cannot be compared, empty where it can.
    """

    text: str | None = None
    number: float = math.nan
    fault: str = ""


_MISSING = Value()


# Any: what JSON holds.
def look_up(metadata: Mapping[str, Any], field: str) -> Any:
    """The value under a dotted path: the key `a.b` itself where there is one, else `b` of the object `a`; else None."""
    if field in metadata:
        return metadata[field]
    inside: Any = metadata
    for name in field.split("."):
        if not isinstance(inside, Mapping) or name not in inside:
            return None
        inside = inside[name]
    return inside


def value_of(found: object) -> Value:
    """Bring a JSON value to what is compared.

    A text is compared as it stands, case and white space included. A number is compared as a number, and in lists as
    JSON writes it (`3`, `0.5`); a text of digits is no number. `true` and `false` are texts of these letters. null is
    missing. Lists, objects, NaN, texts above MOST_TEXT characters and lone surrogates are faults.
    """
    if found is None:
        return _MISSING
    if isinstance(found, str):
        return _text(found)
    if isinstance(found, bool):
        return Value("true" if found else "false")
    if isinstance(found, int):
        return _integer(found)
    if isinstance(found, float):
        return Value(fault="NaN") if math.isnan(found) else Value(repr(found), found)
    kind = "a list" if isinstance(found, list) else "an object"  # JSON holds nothing else
    return Value(fault=f"{kind}, neither text nor number")


def host_of(found: object) -> Value:
    """The host of a URL in lower case, without port, user and last point; international ones in their ASCII form."""
    value = value_of(found)
    if value.fault or value.text is None:
        return value
    if not isinstance(found, str):
        return Value(fault=f"{value.text}, no URL")
    try:
        host = normal_host(urlsplit(found.strip()).hostname or "")
    except ValueError as error:
        return Value(fault=f"no URL: {' '.join(str(error).split())}")
    return Value(host) if host else Value(fault="a URL without a host")


@functools.lru_cache(maxsize=65536)
def normal_host(host: str) -> str:
    """A host as it is compared. Raises ValueError for a name that no domain has."""
    host = host.rstrip(".").lower()
    if host.isascii():
        return host
    # The codec raises UnicodeError, a ValueError, and writes the dots of other scripts as points.
    return host.encode("idna").decode("ascii").rstrip(".")


def parents(host: str) -> list[str]:
    """A host and the domains that it lies in, longest first: `a.b.org`, `b.org`, `org`."""
    parts = host.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]


def _text(found: str) -> Value:
    if len(found) > MOST_TEXT:
        return Value(fault=f"a text of {len(found)} characters; {MOST_TEXT} at most are compared")
    try:
        found.encode("utf-8")
    except UnicodeEncodeError:
        return Value(fault="a text with a lone surrogate")
    return Value(found)


def _integer(found: int) -> Value:
    try:
        number = float(found)
    except OverflowError:
        number = math.inf if found > 0 else -math.inf
    try:
        return Value(str(found), number)
    except ValueError:  # Python writes 4,300 digits at most
        return Value(fault="an integer of more than 4,300 digits")
