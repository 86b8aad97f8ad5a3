"""The facts about one pair that scores are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from data_filters.image import ImageHeader


class Facts(NamedTuple):
    """An image's header, the caption, the image's bytes as they came, and KEY.json (empty where there is none).

    `data` is empty where no score needs the image itself; `image_bytes` is its length all the same.
    """

    image: ImageHeader
    caption: str
    data: bytes = b""
    metadata: Mapping[str, Any] = MappingProxyType({})  # Any: its keys are the data set's own
    image_bytes: int = 0
