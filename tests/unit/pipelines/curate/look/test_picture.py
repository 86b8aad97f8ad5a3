"""Pixels are decoded on demand, once for each size."""

import pytest
from raw_shards import CAPTION, picture

from data_filters import decode as decode_module
from data_filters.facts import Facts
from data_filters.image import read_header
from data_filters.sample import BrokenSample
from pipelines.curate.look import picture as picture_module
from pipelines.curate.look.picture import Picture


def pair(data: bytes) -> Picture:
    return Picture(Facts(read_header(data), CAPTION, data))


def test_each_size_is_decoded_once(monkeypatch):
    calls = []

    def counted(data: bytes, at_least: int = 0):
        calls.append(at_least)
        return decode_module.decode(data, at_least)

    monkeypatch.setattr(picture_module, "decode", counted)
    shown = pair(picture(1600, 1200))
    assert calls == []
    whole = shown.decoded(0)
    assert (whole.mode, whole.size) == ("RGB", (1600, 1200))
    assert 100 <= min(shown.decoded(100).size) < 1200
    assert shown.decoded(0) is whole
    assert calls == [0, 100]


def test_what_does_not_decode_says_so_each_time():
    whole = picture(format="PNG")
    broken = Picture(Facts(read_header(whole), CAPTION, whole[: len(whole) // 2]))
    for _ in range(2):
        with pytest.raises(BrokenSample):
            broken.decoded(0)
