"""The first samples of each reason: files written by hand."""

import pyarrow as pa

from pipelines.common.files import write_parquet
from pipelines.curate.quarantine_examples import MOST_FILES, SHOWN, quarantine_examples
from pipelines.curate.scores.storage import QUARANTINE_SCHEMA


def write(folder, name: str, rows: list[dict]) -> str:
    whole = [{"shard": f"{name}.tar", "key": "k", "exception": "why", "count": 1, **row} for row in rows]
    write_parquet(
        str(folder / "quarantine" / f"{name}.parquet"), pa.Table.from_pylist(whole, QUARANTINE_SCHEMA)
    )
    return f"quarantine/{name}.parquet"


def test_each_reason_has_its_first_samples_in_the_order_of_the_files(tmp_path):
    many = [{"reason": "no_image", "key": f"a{number}"} for number in range(9)]
    files = [
        write(tmp_path, "0", [{"reason": "broken_shard", "key": None, "count": 0}, *many]),
        write(tmp_path, "1", [{"reason": "no_image"}, {"reason": "broken_shard", "key": None, "count": 7}]),
    ]
    found = quarantine_examples(str(tmp_path), files, {"no_image": 10, "broken_shard": 7})
    assert [(one["reason"], one["shard"], one["key"]) for one in found] == [
        ("broken_shard", "1.tar", ""),
        *(("no_image", "0.tar", f"a{number}") for number in range(SHOWN)),
    ]


def test_no_more_files_are_read_than_are_needed(tmp_path):
    files = [write(tmp_path, "0", [{"reason": "no_image"}] * SHOWN), "quarantine/gone.parquet"]
    assert len(quarantine_examples(str(tmp_path), files, ["no_image"])) == SHOWN
    assert quarantine_examples(str(tmp_path), ["quarantine/gone.parquet"], ["no_image"]) == []
    late = [files[1]] * MOST_FILES + files[:1]
    assert quarantine_examples(str(tmp_path), late, ["no_image"]) == []


def test_a_damaged_file_is_passed_over(tmp_path):
    files = [write(tmp_path, name, [{"reason": "no_image"}]) for name in "01"]
    (tmp_path / files[0]).write_bytes(b"PAR1")
    assert [one["shard"] for one in quarantine_examples(str(tmp_path), files, ["no_image"])] == ["1.tar"]
