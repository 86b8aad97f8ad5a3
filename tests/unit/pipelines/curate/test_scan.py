"""Phase A: every kind of damage is written down with its place and stops nothing."""

import hashlib
import io
import tarfile
from pathlib import Path

import fsspec
import pytest
import xxhash
from curation import bad_of, pairs_of, scanned
from PIL import Image

from pipelines.curate import scan as scan_module
from pipelines.curate.inputs import find_units
from pipelines.curate.scan import scan
from pipelines.shards import batches
from pipelines.shards.reader import read_index, read_members
from pipelines.shards.witness import ShardChanged
from pipelines.shards.writer import write_shard


def jpeg(width: int = 40, height: int = 30) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(out, "JPEG")
    return out.getvalue()


SAMPLES = [
    ("a", {"jpg": jpeg(), "txt": "żółw i kot".encode(), "cls": b"7"}),
    ("b", {"jpg": jpeg()[:-20], "txt": b"cut image"}),
    ("c", {"jpg": b"<svg/>", "txt": b"another format"}),
    ("c2", {"jpg": b"GIF89a", "txt": b"a cut header"}),
    ("d", {"txt": b"no image"}),
    ("e", {"jpg": jpeg()}),
    ("f", {"jpg": jpeg(), "txt": b"caf\xe9"}),
    ("g", {"jpg": jpeg(), "txt": b"fine", "json": b"{"}),
    ("h", {"jpg": jpeg(50, 60), "json": b'{"caption": "from the json"}'}),
]
REASONS = {
    "b": "truncated_image",
    "c": "unknown_image_format",
    "c2": "broken_image",
    "d": "no_image",
    "e": "no_caption",
    "f": "caption_not_utf8",
    "g": "metadata_not_json",
}


@pytest.fixture
def unit(tmp_path):
    write_shard(tmp_path / "raw" / "0.tar", SAMPLES)
    return find_units(str(tmp_path / "raw"))[0]


def test_pairs_and_quarantine(unit, tmp_path):
    found = scanned(unit)
    pairs, quarantine = pairs_of(found), bad_of(found)
    assert found.sha256 == hashlib.sha256((tmp_path / "raw" / "0.tar").read_bytes()).hexdigest()
    assert [row["key"] for row in pairs] == ["a", "h"]
    first = pairs[0]
    assert (first["width"], first["height"], first["format"]) == (40, 30, "jpeg")
    assert (first["shorter_side"], first["aspect_ratio"], first["words"]) == (30, 40 / 30, 3)
    assert first["image_hash"] == xxhash.xxh3_128(SAMPLES[0][1]["jpg"]).digest()
    assert first["caption_hash"] == xxhash.xxh3_128(SAMPLES[0][1]["txt"]).digest()
    assert {row["key"]: row["reason"] for row in quarantine} == REASONS
    places = {m.key: m.offset for m in reversed(read_index(unit.uri))}
    assert all(row["offset"] == places[row["key"]] for row in quarantine)
    assert all(row["shard"] == "0.tar" and row["stage"] == "scan" for row in quarantine)


def test_batches_do_not_change_what_is_found(unit, monkeypatch):
    whole = scanned(unit)
    monkeypatch.setattr(batches, "READ_AHEAD", 1)
    assert scanned(unit) == whole


def test_a_broken_tar_keeps_the_samples_before_the_damage(unit, tmp_path):
    data = (tmp_path / "raw" / "0.tar").read_bytes()
    cut = read_index(unit.uri)[-1].offset + 3
    (tmp_path / "raw" / "0.tar").write_bytes(data[:cut])
    found = scan(find_units(str(tmp_path / "raw"))[0])
    assert [row["key"] for row in pairs_of(found)] == ["a"]
    assert bad_of(found)[-1]["reason"] == "broken_shard"
    assert bad_of(found)[-1]["key"] == "h"
    assert bad_of(found)[-1]["offset"] == cut - 3 - 512
    assert str(tmp_path) not in bad_of(found)[-1]["exception"]


def test_a_key_that_comes_again_is_set_aside(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for name, data in [
            ("a.jpg", jpeg()),
            ("a.txt", b"one"),
            ("b.txt", b"x"),
            ("a.jpg", jpeg()),
            ("a.txt", b"two"),
        ]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    found = scan(find_units(str(tmp_path))[0])
    assert [row["key"] for row in pairs_of(found)] == ["a"]
    assert [row["reason"] for row in bad_of(found)] == ["no_image", "duplicate_key"]


def test_member_places_in_the_rows_lead_to_the_bytes(unit):
    row = pairs_of(scan(unit))[0]
    members = [m for m in read_index(unit.uri) if m.key == "a"]
    assert row["members"] == [
        {"extension": m.extension, "offset": m.offset, "length": m.length} for m in members
    ]
    assert (
        dict(zip((m.extension for m in members), read_members(unit.uri, members), strict=True))
        == SAMPLES[0][1]
    )


def test_a_shard_far_away_is_scanned_alike(unit):
    fsspec.filesystem("memory").pipe_file("/far/0.tar", Path(unit.uri).read_bytes())
    far = find_units("memory://far")[0]
    assert pairs_of(scanned(far)) == pairs_of(scanned(unit))


def test_a_shard_that_is_cut_while_it_is_read_has_changed(unit, monkeypatch):
    def cut_first(uri, members):
        Path(unit.uri).write_bytes(b"")
        return read_members(uri, members)

    monkeypatch.setattr(scan_module, "read_members", cut_first)
    with pytest.raises(ShardChanged, match=r"was changed while it was read .*; wait until"):
        scan(unit)
