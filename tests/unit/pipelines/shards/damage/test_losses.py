"""The number of lost samples, where it is known and where it is estimated."""

import pytest
from raw_shards import pairs, write_tar

from pipelines.shards.damage.contents import sort_out
from pipelines.shards.damage.losses import Loss, count_lost
from pipelines.shards.reader import survey
from pipelines.shards.unit import Unit


def losses(path) -> list[Loss]:
    size = path.stat().st_size
    unit = Unit(path.name.removesuffix(".tar"), str(path), size)
    contents = sort_out(survey(path))
    found: list[Loss] = []
    for hit in contents.hits:
        found.append(count_lost(unit, contents, hit, size, sum(loss.count for loss in found)))
    return found


def lost(path) -> list[tuple[int, str]]:
    return [(loss.count, loss.basis) for loss in losses(path)]


def are_estimated(path) -> bool:
    return all(loss.estimated for loss in losses(path))


@pytest.fixture
def shard(tmp_path):
    return write_tar(tmp_path / "00001.tar", pairs(20))


def cut(path, share: float):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_a_flipped_header_costs_one_sample(shard):
    data = bytearray(shard.read_bytes())
    data[data.index(b"ok00003.jpg")] ^= 1
    shard.write_bytes(data)
    assert lost(shard) == [(1, "1 sample lost")]
    assert not are_estimated(shard)


def test_a_stretch_of_noise_is_counted_by_its_bytes(shard):
    data = bytearray(shard.read_bytes())
    start, stop = data.index(b"ok00005.jpg"), data.index(b"ok00009.jpg")
    data[start:stop] = b"\x55" * (stop - start)
    shard.write_bytes(data)
    ((count, basis),) = lost(shard)
    assert count in (4, 5)  # the pair in front may be damaged too
    assert "an estimated" in basis


def test_a_cut_is_measured_by_a_whole_shard_of_the_same_kind(shard, tmp_path):
    write_tar(tmp_path / "unlike.tar", pairs(40))
    cut(shard, 0.33)
    ((count, basis),) = lost(shard)
    assert "as many as were found" in basis
    write_tar(tmp_path / "00007.tar", pairs(20))
    ((count, basis),) = lost(shard)
    assert count in (13, 14)
    assert "by the size of 00007.tar" in basis


def test_a_file_that_is_no_tar_is_measured_alike(shard, tmp_path):
    shard.write_bytes(b"x" * 5000)
    assert lost(shard) == [(1, "at least 1 sample lost, nothing tells how many")]
    assert are_estimated(shard)
    write_tar(tmp_path / "00007.tar", pairs(20))
    ((count, _),) = lost(shard)
    assert count in (20, 21)
    (tmp_path / "00001_stats.json").write_text('{"successes": 17}')
    assert lost(shard)[0][0] == 17
    assert not are_estimated(shard)


@pytest.mark.parametrize(
    "stats",
    [
        "",
        "[]",
        '{"successes": "many"}',
        '{"successes": 3}',
        '{"successes": Infinity}',
        '{"successes": NaN}',
        "[" * 100_000,
    ],
)
def test_statistics_that_cannot_be_meant_are_passed_over(shard, tmp_path, stats):
    cut(shard, 0.5)
    (tmp_path / "00001_stats.json").write_text(stats)
    assert "as many as were found" in lost(shard)[0][1]
    assert are_estimated(shard)


def test_statistics_count_what_is_missing_once(shard, tmp_path):
    (tmp_path / "00001_stats.json").write_text('{"successes": 20}')
    data = bytearray(cut(shard, 0.7).read_bytes())
    data[data.index(b"ok00003.jpg")] ^= 1
    shard.write_bytes(data)
    whole = len(sort_out(survey(shard)).samples)
    first, second = lost(shard)
    assert first == (1, "1 sample lost")
    assert second[0] == 20 - whole - 1


def test_statistics_that_name_what_was_found_say_that_only_the_end_marker_is_missing(shard, tmp_path):
    write_tar(tmp_path / "00007.tar", pairs(40))
    data = shard.read_bytes()
    shard.write_bytes(data.rstrip(b"\0") + bytes(-len(data.rstrip(b"\0")) % 512))
    assert lost(shard)[0][0] > 0
    (tmp_path / "00001_stats.json").write_text('{"successes": 20}')
    assert lost(shard) == [(0, "its samples are all there, by 00001_stats.json")]
