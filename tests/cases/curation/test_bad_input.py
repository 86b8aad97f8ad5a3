"""Samples and shards that are damaged, hostile or odd: each ends as it should, with its reason, and stops nothing."""

import io
import json
import struct
import tarfile
import zlib
from collections import Counter
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from curation import bad_of, judged, kept_keys, rejected, scanned
from PIL import Image
from raw_shards import CAPTION, pairs, picture, write_tar
from without_ray import without_ray

from data_filters import FILTERS
from data_filters.facts import Facts
from pipelines.curate.config import CurateConfig
from pipelines.curate.run import curate
from pipelines.shards.unit import Unit

CONFIG = CurateConfig(min_side=64, max_bad_fraction=1.0, examples=1)


def encoded(image: Image.Image, format: str, **save: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **save)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with pixels of another picture."""
    data = picture(70, 70, format="PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def jpeg_header(width: int, height: int) -> bytes:
    data = picture(70, 70)
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def animated(format: str) -> bytes:
    frames = [Image.new("RGB", (90, 80), (80 * number, 0, 0)) for number in range(3)]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:])


def pair(image: bytes | None = None, caption: bytes | str = CAPTION, name: str = "k", ext: str = "jpg", **more):
    members = {f"{name}.{ext}": picture(90, 80) if image is None else image, f"{name}.txt": caption}
    return members | {f"{name}.{key}": value for key, value in more.items()}


def tar_of(members: dict[str, bytes | str], format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            content = data.encode() if isinstance(data, str) else data
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def with_nul() -> bytes:
    """A PAX header whose path has a NUL, which a plain header cannot have."""
    data = tar_of(pair(name="k" + "x" * 200))
    return data.replace(b"path=kxx", b"path=k\0x")


LONG = "folder/" * 20 + "n" * 120
DEEP = '{"a":' + "[" * 10_000 + "]" * 10_000 + "}"
RGB = Image.new("RGB", (90, 80), "red")

# Name → members of a shard or its bytes, and what becomes of it: "kept", a rule, or a reason of the quarantine.
CASES: dict[str, tuple[dict[str, bytes | str] | bytes, str]] = {
    "key with ..": (pair(name="a/../k"), "unsafe_name"),
    "key with / in front": (pair(name="/k"), "unsafe_name"),
    "key with a backslash": (pair(name="a\\k"), "unsafe_name"),
    "key with a NUL": (with_nul(), "unsafe_name"),
    "long PAX name": (tar_of(pair(name=LONG)), "kept"),
    "long GNU name": (tar_of(pair(name=LONG), tarfile.GNU_FORMAT), "kept"),
    "caption not UTF-8": (pair(caption="un chat caf\xe9 noir".encode("latin-1")), "caption_not_utf8"),
    "empty caption": (pair(caption=""), "few_words"),
    "caption of a megabyte": (pair(caption="dog " * 262_144), "many_words"),
    "JSON is a list": (pair(json="[1]"), "metadata_not_json"),
    "JSON is text": (pair(json='"a"'), "metadata_not_json"),
    "JSON 10,000 deep": (pair(json=DEEP), "metadata_not_json"),
    "PNG header of 40,000 x 40,000": (pair(png_header(40_000, 40_000), ext="png"), "too_many_pixels"),
    "JPEG header of 40,000 x 40,000": (pair(jpeg_header(40_000, 40_000)), "too_many_pixels"),
    "PNG of 0 x 0": (pair(png_header(0, 0), ext="png"), "broken_image"),
    "JPEG of 0 x 0": (pair(jpeg_header(0, 0)), "broken_image"),
    "image of no bytes": (pair(b""), "unknown_image_format"),
    "CMYK": (pair(encoded(RGB.convert("CMYK"), "JPEG")), "kept"),
    "16-bit": (pair(encoded(Image.new("I;16", (90, 80), 40_000), "PNG"), ext="png"), "kept"),
    "animated WebP": (pair(animated("WEBP"), ext="webp"), "kept"),
    "animated PNG": (pair(animated("PNG"), ext="png"), "kept"),
    "animated GIF named jpg": (pair(animated("GIF")), "kept"),
    "JPEG named png": (pair(ext="png"), "kept"),
}
SHARDS: dict[str, tuple[bytes, dict[str, int]]] = {
    "truncated": (tar_of(pairs(8), tarfile.USTAR_FORMAT)[:30_000], {"broken_shard": 1}),
    "empty": (b"", {"broken_shard": 1}),
    "zero-filled": (bytes(1 << 20), {}),
    # Zeros are the mark of a tar's end: only the pair that they cut in two is known to be lost.
    "a tar's head, then zeros": (
        tar_of(pairs(8), tarfile.USTAR_FORMAT)[:30_000] + bytes(1 << 16),
        {"no_caption": 1},
    ),
}


def as_bytes(content: dict[str, bytes | str] | bytes) -> bytes:
    return content if isinstance(content, bytes) else tar_of(content)


def unit_of(folder, content: bytes) -> Unit:
    path = folder / "0.tar"
    path.write_bytes(content)
    return Unit("0", str(path), len(content))


@pytest.mark.parametrize("case", CASES)
def test_each_sample_ends_with_its_reason(tmp_path, case):
    content, outcome = CASES[case]
    found = scanned(unit_of(tmp_path, as_bytes(content)), CONFIG)
    decision = judged(found, CONFIG)
    kept, dropped = kept_keys(found, decision), rejected(found, decision, CONFIG)
    said = [row["reason"] for row in bad_of(found)]
    outcomes = ["kept" for _ in kept] + [rule for _, rule in dropped] + said
    assert outcomes == [outcome]
    assert all(row["exception"] and "\n" not in row["exception"] for row in bad_of(found))


@pytest.mark.parametrize("case", SHARDS)
def test_each_damaged_shard_says_what_it_lost(tmp_path, case):
    content, lost = SHARDS[case]
    found = scanned(unit_of(tmp_path, content), CONFIG)
    assert Counter(row["reason"] for row in bad_of(found)) == lost
    assert found.facts.num_rows == (2 if len(content) > 1 and content[0] else 0)


def test_none_of_them_stops_a_run_and_the_status_names_each(tmp_path, monkeypatch, no_ray):
    without_ray(monkeypatch)
    write_tar(tmp_path / "in" / "00.tar", pairs(3))
    cases = {f"{number:02}": case for number, case in enumerate(CASES, 1)}
    for name, case in cases.items():
        (tmp_path / "in" / f"{name}.tar").write_bytes(as_bytes(CASES[case][0]))
    for number, (content, _) in enumerate(SHARDS.values(), 50):
        (tmp_path / "in" / f"{number}.tar").write_bytes(content)
    summary = curate(CONFIG, str(tmp_path / "in"), str(tmp_path / "out"))
    for name, case in cases.items():
        (row,) = pq.read_table(tmp_path / "out" / "status" / f"{name}.parquet").to_pylist()
        outcome = CASES[case][1]
        assert (row["rule"] or row["outcome"]) == outcome, case
        assert (row["tar"] is not None) == (outcome == "kept"), case
    assert summary.shards == 1 + len(CASES) + len(SHARDS)
    assert curate(CONFIG, str(tmp_path / "in"), str(tmp_path / "out")).shards_skipped == summary.shards


@pytest.mark.parametrize("is_last", [False, True])
def test_a_score_that_is_no_number_fails_every_rule_that_reads_it(tmp_path, monkeypatch, no_ray, is_last):
    """The number of words is NaN for one pair, as a model's score of a strange image may be."""
    without_ray(monkeypatch)

    def words(facts: Facts) -> float:
        return float("nan") if facts.caption.endswith(str(2 * is_last)) else 8.0

    for name in ("few_words", "many_words"):
        monkeypatch.setitem(FILTERS, name, replace(FILTERS[name], measure=words))
    write_tar(tmp_path / "in" / "0.tar", pairs(3))
    summary = curate(CONFIG, str(tmp_path / "in"), str(tmp_path / "out"))
    assert (summary.kept, summary.quarantined, summary.rejected["few_words"]) == (2, {}, 1)
    row = pq.read_table(tmp_path / "out" / "status" / "0.parquet").to_pylist()[2 * is_last]
    assert (row["outcome"], row["rule"], row["fails"]) == ("rejected", "few_words", ["few_words", "many_words"])
    assert (row["value"], row["limit"]) == ("nan", "3")
    json.loads((tmp_path / "out" / "report.json").read_text(), parse_constant=pytest.fail)
