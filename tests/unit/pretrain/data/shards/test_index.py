"""Single samples read by an index, against the standard library's tarfile."""

import tarfile

import pytest

from pretrain.data.shards.index import MAX_GAP, load_index, read_sample


def reference(tar) -> dict[str, dict[str, bytes]]:
    """Members by key, read by tarfile."""
    samples: dict[str, dict[str, bytes]] = {}
    with tarfile.open(tar) as file:
        for entry in file:
            key, _, extension = entry.name.partition(".")
            samples.setdefault(key, {})[extension] = file.extractfile(entry).read()
    return samples


@pytest.fixture
def tar(committed, tmp_path):
    """A shard with members of many kinds, and how far apart they lie."""
    samples = [
        ("a", {"jpg": b"image a", "txt": b"caption a", "json": b'{"n": 1}'}),
        ("b", {"mask.npy": b"x" * 3 * MAX_GAP, "txt": b"caption b", "png": b"image b"}),
        (
            "c",
            {
                "png": b"image c",
                "depth.png": b"y" * 2 * MAX_GAP,
                "npy": b"z" * 2 * MAX_GAP,
                "txt": b"caption c",
            },
        ),
        ("d", {"npy": b"nothing that training reads"}),
    ]
    committed([samples])
    return tmp_path / "curated" / "00000.tar"


@pytest.mark.parametrize("beside", [True, False])
def test_samples_are_those_of_the_tar(tar, beside):
    """With the index beside the tar, and from the tar's headers without it."""
    if not beside:
        (index_file,) = tar.parent.glob("*.index.parquet")
        index_file.unlink()
    index = load_index(str(tar))
    expected = reference(tar)
    assert index.keys == list(expected)
    for row, key in enumerate(index.keys):
        sample = read_sample(tar, index, row)
        members = expected[key]
        assert sample.key == key
        assert sample.image == next((members[name] for name in ("jpg", "png") if name in members), None)
        assert sample.caption == (members["txt"].decode() if "txt" in members else None)
    assert read_sample(tar, index, 0).metadata == {"n": 1}


def test_offsets_point_at_the_bytes(tar):
    index, data, expected = load_index(str(tar)), tar.read_bytes(), reference(tar)
    for row, key in enumerate(index.keys):
        for member in index.members(row):
            assert data[member.offset : member.offset + member.length] == expected[key][member.extension]


def test_only_what_training_reads_is_indexed(tar):
    index = load_index(str(tar))
    assert [sorted(member.extension for member in index.members(row)) for row in range(4)] == [
        ["jpg", "json", "txt"],
        ["png", "txt"],
        ["png", "txt"],
        [],
    ]


def test_a_tar_that_ends_inside_a_member_is_an_error(tar):
    index = load_index(str(tar))
    member = index.members(2)[-1]
    tar.write_bytes(tar.read_bytes()[: member.offset + member.length - 1])
    with pytest.raises(ValueError, match="ends inside a member of c"):
        read_sample(tar, index, 2)
    assert read_sample(tar, index, 0).caption == "caption a"
