"""The tar format: names, sizes and damage, against tarfile and by hand."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.shards.names import split_name
from pipelines.shards.reader import iterate, read_index, walk
from pipelines.shards.tar_format import BLOCK, BrokenShard, Member, parse_members
from pipelines.shards.writer import write_shard


def three_samples(path) -> list[tuple[str, dict[str, bytes]]]:
    samples = [(f"k{i}", {"jpg": bytes([i]) * 700, "txt": b"caption"}) for i in range(3)]
    write_shard(path, samples)
    return samples


def test_names_that_are_no_samples_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ["README", ".hidden.txt", "./a.txt", "f/.x", "trailing.", "d.d/b", "d.d/b.txt"]:
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "a.txt"
        tar.addfile(link)
    assert [(m.key, m.extension) for m in walk(tmp_path / "x.tar")] == [("a", "txt"), ("d.d/b", "txt")]


def test_a_corrupt_header_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "x.tar"
    samples = three_samples(path)
    data = bytearray(path.read_bytes())
    at = read_index(path)[3].offset - 512  # of the second member of k1
    data[at + 3] ^= 1
    path.write_bytes(data)
    found = []
    with pytest.raises(BrokenShard, match=f"no tar header at byte {at}") as raised:
        found.extend(iterate(path))
    assert found == samples[:1]
    assert (raised.value.offset, raised.value.key) == (at, "k1")


@pytest.mark.parametrize("data", [b"", b"not a tar", bytes(range(256)) * 8])
def test_what_is_no_tar_is_broken_at_byte_0(tmp_path, data):
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(BrokenShard) as raised:
        list(walk(tmp_path / "x.tar"))
    assert raised.value.offset == 0


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.jpg", ("a", "jpg")),
        ("./d.d/a.seg.png", ("d.d/a", "seg.png")),
        ("a", None),
        (".a.jpg", None),
        ("a.", None),
        ("d.d/a", None),
        ("", None),
    ],
)
def test_names_by_hand(name, parts):
    assert split_name(name) == parts


@given(st.text("ab./", max_size=12))
def test_a_split_name_is_put_together_again(name):
    parts = split_name(name)
    if parts is not None:
        assert ".".join(parts) == name.removeprefix("./")
        assert parts[0]
        assert "." not in parts[0].rpartition("/")[2]


def parsed(data: bytes) -> list[Member]:
    return list(parse_members("x.tar", lambda offset, length: data[offset : offset + length], len(data)))


def test_a_size_of_base_256_is_read():
    header = tarfile.TarInfo("a.bin")
    header.size = 5
    block = bytearray(header.tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = b"\x80" + (5).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    data = bytes(block) + b"hello".ljust(BLOCK, b"\0") + bytes(2 * BLOCK)
    assert parsed(data) == [Member("a", "bin", BLOCK, 5)]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.extractfile("a.bin").read() == b"hello"


def test_a_member_that_is_cut_is_named():
    header = tarfile.TarInfo("a.bin")
    header.size = 5000
    with pytest.raises(BrokenShard, match="the tar ends inside a member at byte 0") as raised:
        parsed(header.tobuf(tarfile.USTAR_FORMAT) + bytes(100))
    assert raised.value.key == "a"


@pytest.mark.parametrize("field", [b"-0000001000\0", b"+1\0", b"1_0\0", b"0o17\0"])
def test_a_size_that_is_no_octal_number_is_no_header(field):
    block = bytearray(tarfile.TarInfo("a.bin").tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = field.ljust(12, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    with pytest.raises(BrokenShard, match="no tar header"):
        parsed(bytes(block) + bytes(2 * BLOCK))
