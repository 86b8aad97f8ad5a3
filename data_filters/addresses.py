"""Filters of web addresses and file names in captions, which say where a picture lay rather than what it shows."""

from __future__ import annotations

import re

from data_filters.filter import Filter, Limit

_URL = re.compile(
    r"(?:https?|ftp)://\S+|www\.[^\s.]+\.\S+|"
    # A bare host. Looked for from its point on, since few characters are one.
    r"(?<=[a-z0-9])\.(?:com|net|org|info|biz|edu|gov|co\.[a-z]{2})(?![a-z0-9-])(?:/\S*)?",
    re.ASCII | re.IGNORECASE,
)
_EXTENSIONS = r"\.(?:jpe?g|png|gif|webp|bmp|tiff?|avif|heic|svg)(?![a-z0-9])"
_PICTURE_FILE = re.compile(rf"(?<=[^\s.]){_EXTENSIONS}", re.ASCII | re.IGNORECASE)
_CAMERA_FILE = re.compile(
    r"(?<![a-z0-9])(?:IMG|IMGP|DSC|DSCN|DSCF|DCIM|PXL|MVI|VID|SAM|GOPR|DJI|CIMG|PICT)[_ -]?\d{3,}"
    rf"(?!\S{{0,100}}{_EXTENSIONS})",
    re.ASCII | re.IGNORECASE,
)
_THREE_DIGITS = re.compile(r"\d\d\d", re.ASCII)


def url_count(caption: str) -> float:
    """Count web addresses: with a scheme, with `www.`, or a bare host under one of the commonest top-level domains."""
    if "." not in caption[:-1]:  # every address has a point before its end
        return 0.0
    return float(len(_URL.findall(caption)))


URLS = Filter(
    score="urls",
    measure=lambda facts: url_count(facts.caption),
    at_most=Limit(
        key="max_urls",
        default=None,
        number=int,
        minimum=0,
        unit="web addresses",
        description="web addresses in the caption; a pair is dropped when above this; null: not judged",
    ),
)


def file_name_count(caption: str) -> float:
    """Count names of picture files: with an extension (`red-car.jpg`), or as cameras and phones give them
    (`IMG_1234`, `DSC00012`, `PXL_20240101_120000`). Those within a web address count too.
    """
    found = len(_PICTURE_FILE.findall(caption)) if "." in caption[:-1] else 0
    if _THREE_DIGITS.search(caption):
        found += len(_CAMERA_FILE.findall(caption))
    return float(found)


FILE_NAMES = Filter(
    score="file_names",
    measure=lambda facts: file_name_count(facts.caption),
    at_most=Limit(
        key="max_file_names",
        default=None,
        number=int,
        minimum=0,
        unit="file names",
        description="names of picture files in the caption; a pair is dropped when above this; null: not judged",
    ),
)
