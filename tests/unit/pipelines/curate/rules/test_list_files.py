"""Files of deny lists: both forms, their sha256, and every way in which one cannot be used."""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from data_filters.deny_lists import as_rows
from data_filters.errors import InputError
from pipelines.curate.rules.list_files import WIDTHS, read_lists

ENTRIES = {
    "xxh3": [hashlib.md5(bytes([n])).hexdigest() for n in range(5)],
    "sha256": [hashlib.sha256(bytes([n])).hexdigest() for n in range(5)],
    "md5": [hashlib.md5(bytes([n])).hexdigest() for n in range(5)],
    "url": [f"https://example.com/{n}?é" for n in range(5)],
    "domain": ["example.com", "a.example.org", "bücher.example"],
}
HEX = ("xxh3", "sha256", "md5")


def digests(of: str) -> list[bytes]:
    if of in HEX:
        return [bytes.fromhex(entry) for entry in ENTRIES[of]]
    return [
        xxhash.xxh3_128_digest(entry.replace("bücher", "xn--bcher-kva").encode()) for entry in ENTRIES[of]
    ]


@pytest.mark.parametrize("of", ENTRIES)
def test_text_and_parquet_hold_the_same(of, tmp_path):
    text, upper = tmp_path / "list.txt", tmp_path / "upper"
    text.write_text("\ufeff# ours\n\n" + "\r\n".join(ENTRIES[of]) + "\n" + ENTRIES[of][0], encoding="utf-8")
    upper.write_text("\n".join(e.upper() if of in HEX else e for e in ENTRIES[of]))
    column = {"url": "url", "domain": "domain"}.get(of, "hash")
    pq.write_table(
        pa.table({"other": [1] * len(ENTRIES[of]), column: ENTRIES[of]}), tmp_path / "list.parquet"
    )
    files = [text, upper, tmp_path / "list.parquet"]
    if of in HEX:
        pq.write_table(
            pa.table({"hash": pa.array(digests(of), pa.binary(WIDTHS[of]))}), tmp_path / "raw.parquet"
        )
        files.append(tmp_path / "raw.parquet")
    for path in files:
        found = read_lists(of, (str(path),))
        assert found.entries.contains(as_rows(digests(of), WIDTHS[of])).all()
        assert len(found.entries.rows) == len(ENTRIES[of])
        (source,) = found.sources
        assert source.as_json() == {
            "path": str(path),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "entries": len(ENTRIES[of]) + (path == text),
        }
    both = read_lists(of, tuple(map(str, files)))
    assert len(both.entries.rows) == len(ENTRIES[of])
    assert [source.path for source in both.sources] == list(map(str, files))


@pytest.mark.parametrize(
    ("of", "name", "data", "message"),
    [
        ("md5", "a", None, "cannot be read"),
        ("md5", "a.parquet", None, "cannot be read"),
        ("md5", "a", b"", "holds no entry"),
        ("url", "a", b"# nothing\n\n", "holds no entry"),
        (
            "md5",
            "a",
            b"# x\n" + b"0" * 31,
            "line 2: '0000000000000000000000000000000' is no md5; expected 32 hex digits",
        ),
        ("md5", "a", b"zz" * 16, "line 1"),
        ("md5", "a", b"00 " * 16, "line 1"),
        ("sha256", "a", b"00" * 16, "expected 64 hex digits"),
        ("url", "a", b"https://a\n\xff\xfe", "line 2"),
        ("domain", "a", b"https://example.com/", "expected a domain such as example.com"),
        ("xxh3", "a.parquet", b"PAR1 no", "cannot be read"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_in_one_line(of, name, data, message, tmp_path):
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=message) as raised:
        read_lists(of, (str(path),))
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("md5", ["00" * 16], "has the columns md5; a list of md5 is read from `hash`"),
        ("hash", ["00" * 16, None], "row 2: 'None' is no md5"),
        ("hash", [bytes(15)], "row 1"),
        ("hash", [7], "row 1: '7' is no md5"),
        ("hash", pa.array([], pa.string()), "holds no entry"),
    ],
)
def test_parquet_with_something_else_is_refused(column, values, message, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({column: values}), path)
    with pytest.raises(InputError, match=message):
        read_lists("md5", (str(path),))


def test_a_folder_is_no_list(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_lists("md5", (str(tmp_path),))
