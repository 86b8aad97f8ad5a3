"""Members are found again behind a damage; what lies between is described."""

import io
import tarfile

import pytest
from raw_shards import add_member

from pipelines.shards.damage.recovery import Damage, next_header, survey_members
from pipelines.shards.tar_format import BLOCK, NO_END_MARKER, Member

NAMES = ["a.jpg", "a.txt", "b.jpg", "b.txt", "c.jpg", "c.txt"]
SIZES = [1000, 20, 3000, 30, 600, 40]


@pytest.fixture
def whole() -> bytearray:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, size in zip(NAMES, SIZES, strict=True):
            add_member(tar, name, name[0].encode() * size)
    return bytearray(file.getvalue())


def header(data: bytes, name: str) -> int:
    return data.index(name.encode() + b"\0")


def survey(data: bytes) -> tuple[list[str], list[Damage]]:
    entries = list(
        survey_members("x.tar", lambda offset, length: bytes(data[offset : offset + length]), len(data))
    )
    names = [f"{one.key}.{one.extension}" for one in entries if isinstance(one, Member)]
    return names, [one for one in entries if isinstance(one, Damage)]


def test_a_whole_tar_has_no_damage(whole):
    assert survey(whole) == (NAMES, [])
    assert survey(whole + b"garbage" * 200) == (NAMES, [])


def test_one_header_costs_one_member(whole):
    at = header(whole, "b.jpg")
    whole[at + 101] ^= 4
    names, (damage,) = survey(whole)
    assert names == [name for name in NAMES if name != "b.jpg"]
    assert damage == Damage(at, header(whole, "b.txt"), "no tar header", one_member=True)


def test_lost_bytes_inside_a_member(whole):
    at = header(whole, "b.jpg")
    del whole[at + BLOCK + 100 : at + BLOCK + 701]
    names, (damage,) = survey(whole)
    assert names == NAMES
    assert damage.suspect
    assert damage.offset == damage.stop == header(whole, "b.txt")


def test_a_hole_is_no_end(whole):
    start = header(whole, "a.txt")
    whole[start : header(whole, "c.jpg")] = bytes(header(whole, "c.jpg") - start)
    whole[start + 2000] = 1
    names, (damage,) = survey(whole)
    assert names == ["a.jpg", "c.jpg", "c.txt"]
    assert damage == Damage(start, header(whole, "c.jpg"), "zeros where a header should be", suspect=True)


def test_an_appended_tar_is_read_on(whole):
    assert survey(whole + whole) == (NAMES * 2, [])


def test_a_cut_and_a_missing_end_marker(whole):
    names, (damage,) = survey(whole[: header(whole, "c.txt") + BLOCK + 3])
    assert names == NAMES[:-1]
    assert damage[2:5] == ("the tar ends inside a member", "c", True)
    names, (damage,) = survey(whole[: header(whole, "c.txt")])
    assert names == NAMES[:-1]
    assert (damage.reason, damage.cut, damage.suspect) == (NO_END_MARKER, True, False)


def test_headers_inside_a_tar_that_is_a_member_are_not_its_own(whole):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        add_member(tar, "k.jpg", b"x")
        add_member(tar, "k.tar", bytes(whole))
        add_member(tar, "l.jpg", b"x")
        add_member(tar, "m.jpg", b"x")
    data = bytearray(file.getvalue())
    assert survey(data[:6000])[0] == ["k.jpg"]
    data[header(data, "l.jpg") + 101] ^= 4
    assert survey(data)[0] == ["k.jpg", "k.tar", "m.jpg"]


def test_the_next_header_lies_at_any_byte(whole):
    data = b"ustar" * 50 + b"x" * 77 + bytes(whole)
    assert next_header(lambda offset, length: data[offset : offset + length], len(data), 0) == 250 + 77
    assert next_header(lambda offset, length: data[:0], 0, 0) is None
