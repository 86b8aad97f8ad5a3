"""`--data` with `=NUMBER` at its end (as Hive partitions have), brackets, braces and the like: read as it is."""

import pytest
from raw_shards import pairs, write_tar
from small_runs import sixteen_pairs, small_recipe

from pipelines.common.files import absolute
from pretrain.data.datasets import open_data, open_reader
from pretrain.evaluation.data.samples import find_shards

NAMES = [
    "date=20240101",
    "min_side=64",
    "run [1]",
    "{0..1}",
    "a::b",
    "50% #1 ü",
    "a%20b",
    "what?*",
    "pipe:cat x",
]


def keys(config, data: str | list[str]) -> list[str]:
    """The sorted keys of the samples of the first epoch of four steps."""
    reader = open_reader(config, open_data(config, data), 0, 1)
    return sorted(key for parts in reader.batches(0, 4) for part in parts for key in part.keys)


@pytest.mark.parametrize("name", NAMES)
def test_plain_tars_are_trained_on_and_evaluated_alike(tmp_path, name):
    tar = write_tar(tmp_path / name / f"{name}.tar", pairs(16))
    expected = [f"ok{number:05d}" for number in range(16)]
    config = small_recipe({"steps": 4})
    for data in (tar.parent, tar, f"{tar.parent}/*.tar", f"file://{tar.parent}"):
        assert keys(config, absolute(str(data))) == expected
    assert keys(config, f"{tar.parent}=2") == expected
    assert find_shards(str(tar.parent)) == [str(tar)]


@pytest.mark.parametrize("name", NAMES)
def test_curated_shards_are_trained_on_alone_and_in_a_mixture(tmp_path, name):
    (tmp_path / name).mkdir()
    data = sixteen_pairs(tmp_path / name)
    expected = [f"{number:04d}" for number in range(16)]
    config = small_recipe({"steps": 4})
    assert keys(config, data) == expected
    sources = open_data(config, [f"{data}=1", f"{data}=3"])
    assert [dataset.weight for dataset in sources.datasets] == [1.0, 3.0]
    assert [dataset.weight for dataset in open_data(config, [data, data]).datasets] == [None, None]


def test_a_range_as_webdataset_writes_it(tmp_path):
    for number, prefix in enumerate("abc"):
        write_tar(tmp_path / f"{number:05d}.tar", pairs(8, prefix))
    found = keys(small_recipe({"steps": 4}), f"{tmp_path}/{{00000..00001}}.tar")
    assert found == [f"{prefix}{number:05d}" for prefix in "ab" for number in range(8)]
