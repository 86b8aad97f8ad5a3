"""Reading and writing against the standard library's tarfile, in both directions."""

import hashlib
import io
import tarfile
import uuid

import fsspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.shards.reader import group, iterate, join, read_index, read_members, walk
from pipelines.shards.tar_format import BrokenShard, Member
from pipelines.shards.writer import write_shard

# Names of samples: long ones need pax records, foreign letters too, folders put dots in front of the base name.
letters = st.characters(codec="utf-8", exclude_characters="/.\0\\", exclude_categories=("Cs", "Cc"))
bases = st.text(letters, min_size=1, max_size=150)
folders = st.lists(st.text(letters, min_size=1, max_size=20).map(lambda name: f"{name}.d"), max_size=2)
keys = st.builds(lambda folder, base: "/".join([*folder, base]), folders, bases)
extensions = st.sampled_from(["jpg", "txt", "json", "seg.png", "JPEG", "x" * 120])
contents = st.one_of(
    st.binary(max_size=40), st.sampled_from([b"", bytes(511), bytes(512), bytes(513), b"a" * 70_000])
)
samples = st.dictionaries(keys, st.dictionaries(extensions, contents, min_size=1, max_size=4), max_size=5)


def fresh() -> str:
    """A new place in fsspec's memory file system: the same code as for an object store."""
    return f"memory://{uuid.uuid4().hex}/shard.tar"


def by_tarfile(data: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [(m.name, tar.extractfile(m).read()) for m in tar.getmembers() if m.isfile()]


def flat(found) -> list[tuple[str, bytes]]:
    return [(f"{key}.{name}", data) for key, members in found for name, data in members.items()]


@settings(max_examples=60, deadline=None)
@given(samples)
def test_what_is_written_is_what_tarfile_and_we_read_back(samples):
    uri = fresh()
    info = write_shard(uri, samples.items())
    data = fsspec.filesystem("memory").cat_file(uri)
    expected = [(f"{key}.{name}", parts[name]) for key, parts in samples.items() for name in sorted(parts)]
    assert by_tarfile(data) == expected
    assert flat(iterate(uri)) == expected
    assert (info.samples, info.size, info.sha256) == (
        len(samples),
        len(data),
        hashlib.sha256(data).hexdigest(),
    )

    index = read_index(uri)
    assert index == list(walk(uri))
    assert read_members(uri, index[::-1]) == [content for _, content in expected][::-1]
    assert all(
        data[m.offset : m.offset + m.length] == content
        for m, (_, content) in zip(index, expected, strict=True)
    )


@settings(max_examples=40, deadline=None)
@given(samples, st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_every_tar_that_tarfile_writes_is_walked(samples, form):
    out, written = io.BytesIO(), []
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        tar.addfile(folder := tarfile.TarInfo("folder.with.dots"))
        folder.type = tarfile.DIRTYPE
        for key, parts in samples.items():
            for extension, data in parts.items():
                member = tarfile.TarInfo(f"{key}.{extension}")
                member.size, member.mtime, member.uid = len(data), 1_700_000_000.5, 1000
                try:
                    tar.addfile(member, io.BytesIO(data))
                except ValueError:  # ustar has no room for some names
                    continue
                written.append((key, extension, data))
    uri = fresh()
    fsspec.filesystem("memory").pipe_file(uri, out.getvalue())
    found = [m for m in walk(uri) if not m.key.startswith("folder")]
    assert [(m.key, m.extension, m.length) for m in found] == [(k, e, len(d)) for k, e, d in written]
    assert read_members(uri, found) == [data for _, _, data in written]


def three_samples(path) -> list[tuple[str, dict[str, bytes]]]:
    samples = [(f"k{i}", {"jpg": bytes([i]) * 700, "txt": b"caption"}) for i in range(3)]
    write_shard(path, samples)
    return samples


def test_a_cut_at_every_block_keeps_whole_samples_and_names_the_offset(tmp_path):
    whole = tmp_path / "whole.tar"
    samples = three_samples(whole)
    data, index = whole.read_bytes(), read_index(whole)
    end = index[-1].offset + 512  # the first block of the end marker
    for cut in range(0, end + 1, 100):
        broken = tmp_path / "cut.tar"
        broken.write_bytes(data[:cut])
        found = []
        with pytest.raises(BrokenShard) as raised:
            found.extend(iterate(broken))
        assert raised.value.offset <= cut
        # A sample is known to be whole once the next one's header is there; the last one, by the end marker.
        nexts = [min(m.offset for m in index if m.key == key) for key in ("k1", "k2")]
        assert found == [sample for sample, known in zip(samples, nexts, strict=False) if known <= cut]


def test_random_access_notices_a_tar_that_is_too_short(tmp_path):
    three_samples(tmp_path / "x.tar")
    with pytest.raises(BrokenShard, match="ends inside a member"):
        read_members(tmp_path / "x.tar", [Member("k", "jpg", 100_000, 10)])


def test_an_extension_that_comes_again_starts_a_new_sample():
    members = [
        Member("a", "jpg", 0, 1),
        Member("a", "txt", 1, 1),
        Member("a", "jpg", 2, 1),
        Member("b", "jpg", 3, 1),
    ]
    assert [(key, len(found)) for key, found in group(members)] == [("a", 2), ("a", 1), ("b", 1)]


def test_real_shards_are_walked_as_tarfile_walks_them(shared_data):
    for path in [
        *sorted((shared_data / "openstax" / "raw").glob("*.tar"))[:3],
        shared_data / "coco" / "00000.tar",
    ]:
        with tarfile.open(path) as tar:
            expected = [(m.name, m.offset_data, m.size) for m in tar.getmembers() if m.isfile()]
        assert [(f"{m.key}.{m.extension}", m.offset, m.length) for m in walk(path)] == expected


def test_members_of_a_key_are_joined_wherever_they_stand():
    names = ["a.jpg", "b.jpg", "a.txt", "b.txt", "a.jpg", "a.txt", "c.jpg"]
    members = [Member(*name.split("."), number, 1) for number, name in enumerate(names)]
    assert join(members) == [[0, 2], [1, 3], [4, 5], [6]]
