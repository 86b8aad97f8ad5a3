"""Reads one image-text pair from the members of a WebDataset shard.

A shard is a tar whose members `KEY.EXT` belong together by their KEY: an image, a caption in `KEY.txt` or
in `KEY.json` under `caption`, and any other members, which are carried along unchanged.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")
CAPTION_EXTENSION = "txt"
METADATA_EXTENSION = "json"
MAX_JSON_DEPTH = 100
"""Levels; fixed, since what Python's parser and writer can do depends on the stack that they run on."""

_DECODER = msgspec.json.Decoder()  # gives what `json.loads` gives, in a third of its time
_JSON_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


class BrokenSample(ValueError):
    """A sample cannot be read: it goes to quarantine and never stops a run.

    `reason` is a short name for counting, `detail` a sentence for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


@dataclass(frozen=True)
class Sample:
    """One pair. `image` holds the bytes as they came; `extras` maps the other extensions to their bytes."""

    key: str
    image: bytes | None
    image_extension: str | None
    caption: str | None
    metadata: dict[str, Any] | None  # KEY.json as it came, whose keys are the data set's own
    extras: dict[str, bytes] = field(default_factory=dict)


def image_member(extensions: Mapping[str, object]) -> str | None:
    """Find the image among the members' extensions: the first of `IMAGE_EXTENSIONS`, in upper or lower case."""
    by_lower = {name.lower(): name for name in reversed(list(extensions))}
    return next((by_lower[wanted] for wanted in IMAGE_EXTENSIONS if wanted in by_lower), None)


def metadata_member(extensions: Iterable[str]) -> str | None:
    """Find the metadata among the members' extensions: the first `METADATA_EXTENSION`, in upper or lower case."""
    return next((name for name in extensions if name.lower() == METADATA_EXTENSION), None)


def members_read(extensions: Iterable[str]) -> set[str]:
    """The members that `sample_from_members` reads, among those of a sample: image, caption, metadata."""
    return {name for name in parts_named(tuple(extensions)) if name is not None}


# A shard's samples have the same few sets of extensions; long ones are read from anybody's tar and not kept for long.
@functools.lru_cache(maxsize=64)
def parts_named(extensions: tuple[str, ...]) -> tuple[str | None, str | None, str | None]:
    """Which of a sample's members are its image, caption and metadata; None where there is none."""
    by_lower = {name.lower(): name for name in reversed(extensions)}
    image = image_member(dict.fromkeys(extensions))
    return image, by_lower.get(CAPTION_EXTENSION), metadata_member(extensions)


def sample_from_members(key: str, members: Mapping[str, bytes]) -> Sample:
    """Build a sample from its members (extension without dot → bytes).

    The caption is `.txt`, else the field `caption` of `.json`; neither is stripped or normalised. A missing part is
    None; the caller decides whether that is acceptable.

    Raises BrokenSample when a part exists but cannot be read: a caption that is not UTF-8, metadata that is not a JSON
    object.
    """
    image, caption, metadata = parts_from_members(members)
    names = parts_named(tuple(members))
    extras = {name: data for name, data in members.items() if name not in names}
    return Sample(key, image, names[0] and names[0].lower(), caption, metadata, extras)


def parts_from_members(
    members: Mapping[str, bytes],
) -> tuple[bytes | None, str | None, dict[str, Any] | None]:
    """A sample's image, caption and metadata, as `sample_from_members` reads them. Raises BrokenSample."""
    image_name, caption_name, metadata_name = parts_named(tuple(members))
    metadata = None if metadata_name is None else parse_metadata(members[metadata_name])
    caption: str | None = None
    if caption_name is not None:
        caption = _decode_caption(members[caption_name])
    elif metadata is not None and isinstance(metadata.get("caption"), str):
        caption = _checked_unicode(metadata["caption"])
    return None if image_name is None else members[image_name], caption, metadata


def parse_metadata(data: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises BrokenSample when `data` is not one, or one nested deeper than MAX_JSON_DEPTH.

    Whatever is returned can be written by `dump_metadata`.
    """
    is_plain = data[:1] == b"{" and data[1:2] != b"\0"  # UTF-8, as `detect_encoding` finds more slowly
    if is_plain and data.count(b"[") + data.count(b"{") <= MAX_JSON_DEPTH:
        # It refuses NaN, infinite numbers and lone surrogates.
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            plain: dict[str, Any] = _DECODER.decode(data)
            return plain
    try:
        text = data.decode("utf-8" if is_plain else json.detect_encoding(data), "surrogatepass")
        if _is_deep(text):
            raise BrokenSample("metadata_not_json", f"nested deeper than {MAX_JSON_DEPTH} levels")
        parsed = json.loads(text)
    except BrokenSample:
        raise
    except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise BrokenSample("metadata_not_json", str(error)) from error
    if not isinstance(parsed, dict):
        raise BrokenSample("metadata_not_json", f"expected an object, received {type(parsed).__name__}")
    return parsed


def _is_deep(text: str) -> bool:
    """Whether brackets outside of strings are nested deeper than MAX_JSON_DEPTH."""
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return False
    depth = 0
    for found in _JSON_STRING_OR_BRACKET.finditer(text):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if depth > MAX_JSON_DEPTH:
            return True
    return False


def dump_metadata(metadata: Mapping[str, Any]) -> bytes:
    """Write `metadata` as JSON bytes, keys in their own order: the same mapping gives the same bytes."""
    try:
        return json.dumps(metadata, ensure_ascii=False, separators=(", ", ": ")).encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate, which JSON can only carry escaped
        return json.dumps(metadata, ensure_ascii=True, separators=(", ", ": ")).encode("ascii")


def what_is_missing(key: str, members: Iterable[str], metadata: Mapping[str, Any] | None) -> str:
    """Say why members (extensions) under `key` are no pair: what is there, and what would be read."""
    names = sorted(members)
    there = f"members are {', '.join(names)}"
    if image_member(dict.fromkeys(names)) is None:
        return f"{there}; an image is read from {key}.jpg (or jpeg, png, webp)"
    if metadata is None:
        return f"{there}; a caption is read from {key}.txt, or from {key}.json under `caption`"
    name = f"{key}.{metadata_member(names)}"
    if "caption" in metadata:
        return f"caption in {name} is {_json_type(metadata['caption'])}; expected text"
    fields = ", ".join(list(metadata)[:5]) or "none"
    return f"{name} has no field `caption` (its fields: {fields}), and there is no {key}.txt"


def _json_type(value: object) -> str:
    """A parsed JSON value's type, as JSON names it."""
    if value is None:
        return "null"
    if isinstance(value, float) and value != value:
        return "NaN"
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _decode_caption(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenSample(
            "caption_not_utf8", f"byte {error.start} of {len(data)}: {error.reason}"
        ) from error


def _checked_unicode(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BrokenSample("caption_not_utf8", f"character {error.start} is a lone surrogate") from error
    return text
