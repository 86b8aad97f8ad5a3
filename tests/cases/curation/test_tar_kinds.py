"""Shapes of tars that users have: what is whole is kept, what is lost is counted and said."""

import gzip
import io
import os
import random
import subprocess
import tarfile

import pytest
from curation import bad_of, curate_one, judged, kept_keys, scanned
from raw_shards import CAPTION, pairs, picture, write_tar

from data_filters.errors import InputError
from pipelines.curate.config import CurateConfig
from pipelines.curate.funnel import add_funnels
from pipelines.curate.inputs import find_units, require_pairs
from pipelines.curate.plan import make_plan
from pipelines.shards import storage, stored
from pipelines.shards.reader import iterate

CONFIG = CurateConfig(min_side=64, examples=1)


def curate(folder, output=None):
    """Scan, decide and, with an output, write every shard of a folder; returns (kept keys, quarantine rows, funnel)."""
    kept, rows, funnels = [], [], []
    for unit in find_units(str(folder)):
        if output is None:
            found = scanned(unit, CONFIG)
            decision = judged(found, CONFIG)
        else:
            found, decision, _ = curate_one(unit, str(output), CONFIG)
        kept += kept_keys(found, decision)
        rows += bad_of(found)
        funnels.append(decision.funnel)
    return kept, rows, add_funnels(funnels, make_plan(CONFIG))


@pytest.mark.parametrize("tenth", [0.1, 0.13])  # at the end of a member, and inside one
def test_shards_cut_to_a_tenth_count_what_they_have_lost(tmp_path, tenth):
    for number in range(4):
        path = write_tar(tmp_path / f"0000{number}.tar", pairs(40, prefix=f"s{number}_"))
        if number:
            data = path.read_bytes()
            path.write_bytes(data[: int(len(data) * tenth)])
    kept, rows, funnel = curate(tmp_path)
    assert len(kept) == 40 + 3 * (4 if tenth == 0.1 else 5)
    assert funnel.samples == pytest.approx(160, abs=3)
    assert funnel.quarantined == pytest.approx(160 - len(kept), abs=3)
    assert all("an estimated" in row["exception"] and "00000.tar" in row["exception"] for row in rows)


def test_a_cut_shard_alone_counts_as_many_as_were_found_and_statistics_are_believed_first(tmp_path):
    path = write_tar(tmp_path / "00000.tar", pairs(20))
    path.write_bytes(path.read_bytes()[:100_000])
    kept, (row,), funnel = curate(tmp_path)
    assert row["count"] == len(kept) == funnel.quarantined
    assert "as many as were found" in row["exception"]
    (tmp_path / "00000_stats.json").write_text('{"successes": 20}')
    _, (row,), funnel = curate(tmp_path)
    assert (row["count"], funnel.samples) == (20 - len(kept), 20)
    assert "00000_stats.json names" in row["exception"]


def test_behind_a_damaged_header_pairs_are_found_again(tmp_path):
    path = write_tar(tmp_path / "0.tar", pairs(12))
    data = bytearray(path.read_bytes())
    data[data.index(b"ok00004.txt")] ^= 1
    path.write_bytes(data)
    kept, (row,), funnel = curate(tmp_path)
    assert kept == [f"ok{number:05d}" for number in range(12) if number != 4]
    assert (row["key"], row["count"], row["reason"]) == ("ok00004", 1, "broken_shard")
    assert funnel.samples == 12


@pytest.mark.parametrize("name", ["caf\udce9", "../../etc/up", "/abs/olute", "a\\b", "d/../e"])
def test_names_that_cannot_be_written_are_set_aside(tmp_path, name):
    members = {**pairs(3), f"{name}.jpg": picture(), f"{name}.txt": CAPTION, "sub.d/fine.jpg": picture()}
    members["sub.d/fine.txt"] = CAPTION
    write_tar(tmp_path / "in" / "0.tar", members)
    kept, (row,), _ = curate(tmp_path / "in", tmp_path / "out")
    assert kept == ["ok00000", "ok00001", "ok00002", "sub.d/fine"]
    assert (row["reason"], row["count"]) == ("unsafe_name", 1)
    row["exception"].encode()


def test_members_of_a_key_may_stand_apart(tmp_path):
    found = pairs(6)
    by_type = dict(sorted(found.items(), key=lambda item: item[0].rsplit(".", 1)[1]))
    shuffled = dict(random.Random(0).sample(sorted(found.items()), len(found)))
    for number, members in enumerate([by_type, shuffled]):
        write_tar(tmp_path / str(number) / "0.tar", members)
        require_pairs(find_units(str(tmp_path / str(number))), "here")
        kept, rows, _ = curate(tmp_path / str(number), tmp_path / f"out{number}")
        assert sorted(kept) == [f"ok{i:05d}" for i in range(6)]
        assert rows == []
        for key, parts in iterate(tmp_path / f"out{number}" / "0.tar"):
            assert parts["txt"].decode() == found[f"{key}.txt"]
            assert parts["jpg"] == found[f"{key}.jpg"]


def test_compressed_shards_are_named(tmp_path):
    path = write_tar(tmp_path / "0.tar", pairs(3))
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(
        InputError, match=r"0\.tar is no tar but gzip-compressed data \(decompress it: gzip -d\)"
    ):
        require_pairs(find_units(str(tmp_path)), str(tmp_path))
    _, (row,), _ = curate(tmp_path)
    assert "gzip-compressed" in row["exception"]


def test_compound_names_are_named(tmp_path):
    write_tar(tmp_path / "0.tar", {"s0.input.jpg": picture(), "s0.output.txt": CAPTION})
    with pytest.raises(InputError, match=r"0\.tar begins with s0\.input\.jpg, s0\.output\.txt"):
        require_pairs(find_units(str(tmp_path)), str(tmp_path))
    _, (row,), _ = curate(tmp_path)
    assert "members are input.jpg, output.txt; an image is read from s0.jpg" in row["exception"]


def test_a_tar_without_its_end_marker_keeps_every_pair_and_says_so(tmp_path):
    path = write_tar(tmp_path / "noend.tar", pairs(5))
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data + bytes(-len(data) % 512))
    kept, (row,), funnel = curate(tmp_path)
    assert (len(kept), funnel.samples, row["count"]) == (5, 5, 0)
    assert "without its end marker" in row["exception"]


def test_sparse_and_linked_members(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(4):
        (source / f"{number}.jpg").write_bytes(picture(seed=number))
        (source / f"{number}.txt").write_text(CAPTION)
    with open(source / "1.npy", "wb") as file:
        file.truncate(1 << 20)
        file.write(b"x")
    os.link(source / "2.jpg", source / "5.jpg")
    (source / "5.txt").write_text(CAPTION)
    (tmp_path / "in").mkdir()
    for form in ("gnu", "posix"):
        command = [
            "tar",
            "-S",
            f"--format={form}",
            "--sort=name",
            "-C",
            source,
            "-cf",
            tmp_path / "in" / "0.tar",
            ".",
        ]
        subprocess.run(command, check=True)
        kept, (row,), _ = curate(tmp_path / "in", tmp_path / form)
        assert kept == ["0", "1", "2", "3", "5"]
        assert (row["key"], row["reason"], row["count"]) == ("1", "sparse_member", 0)
        with tarfile.open(tmp_path / form / "0.tar") as tar:
            assert tar.extractfile("5.jpg").read() == picture(seed=2)


def test_a_sparse_image_is_set_aside(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text(CAPTION)
    with open(source / "a.jpg", "wb") as file:
        file.write(picture())
        file.truncate(1 << 20)
    (tmp_path / "in").mkdir()
    command = ["tar", "-S", "--sort=name", "-C", source, "-cf", tmp_path / "in" / "0.tar", "."]
    subprocess.run(command, check=True)
    kept, (row,), _ = curate(tmp_path / "in")
    assert kept == []
    assert (row["reason"], row["count"]) == ("sparse_member", 1)


def test_large_members_are_copied_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 50_000)
    monkeypatch.setattr(stored, "PIECE", 3000)
    monkeypatch.setattr(storage, "MAX_READ", 1000)
    video = random.Random(0).randbytes(100_001)
    write_tar(tmp_path / "in" / "0.tar", {**pairs(2), "ok00001.mp4": video})
    kept, _, _ = curate(tmp_path / "in", tmp_path / "out")
    assert len(kept) == 2
    assert dict(iterate(tmp_path / "out" / "0.tar"))["ok00001"]["mp4"] == video


def put(file, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    file.write(info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512))


@pytest.mark.long
def test_a_member_of_two_gibibytes(tmp_path, request):
    if not request.config.getoption("--long"):
        pytest.skip("writes 2 GiB; runs with --long")
    (tmp_path / "in").mkdir()
    with open(tmp_path / "in" / "0.tar", "wb") as file:
        put(file, "a.jpg", picture())
        info = tarfile.TarInfo("a.mp4")
        info.size = 1 << 31
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.seek(1 << 31, io.SEEK_CUR)
        put(file, "a.txt", CAPTION.encode())
        file.write(bytes(1024))
    kept, rows, _ = curate(tmp_path / "in", tmp_path / "out")
    assert (kept, rows) == (["a"], [])
    assert (tmp_path / "out" / "0.tar").stat().st_size > 1 << 31
    (tmp_path / "out" / "0.tar").unlink()
