"""Folders and files that have brackets, braces or other characters of patterns in their names, and are no patterns."""

import pytest
from curation import pairs_of
from raw_shards import pairs, write_tar

from data_filters.errors import InputError
from pipelines.curate.inputs import find_units, require_pairs
from pipelines.curate.scan import scan


def test_a_folder_and_a_file_with_brackets_are_scanned_whole(tmp_path):
    write_tar(tmp_path / "set [2024]" / "0.tar", pairs(3))
    write_tar(tmp_path / "c12" / "part[1].tar", pairs(4))
    write_tar(tmp_path / "c12" / "part1.tar", pairs(1))  # what the name would match as a pattern
    for name, count in (
        ("set [2024]", 3),
        ("c12/part[1].tar", 4),
        ("set [2024]/*.tar", 3),
        ("set [2024]/{0..0}.tar", 3),
    ):
        units = find_units(f"{tmp_path}/{name}")
        require_pairs(units, name)
        assert [len(pairs_of(scan(unit))) for unit in units] == [count], name


def test_a_range_as_webdataset_writes_it(tmp_path):
    for number, prefix in enumerate("abc"):
        write_tar(tmp_path / f"{number:05d}.tar", pairs(2, prefix))
    assert [unit.name for unit in find_units(f"{tmp_path}/{{00000..00001}}.tar")] == ["00000", "00001"]
    assert [unit.name for unit in find_units(f"{tmp_path}/{{00000,00002}}.tar")] == ["00000", "00002"]
    with pytest.raises(InputError, match=f"names {tmp_path}/00003.tar, which does not exist"):
        find_units(f"{tmp_path}/{{00000..00009}}.tar")
