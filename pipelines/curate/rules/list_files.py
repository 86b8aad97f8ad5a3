"""Reads the files of a deny list: text with an entry a line, or Parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from data_filters.deny_lists import DigestSet, digest_set
from data_filters.errors import InputError
from pipelines.common.files import filesystem
from pipelines.curate.rules.field import domain_of_entry

Of = Literal["xxh3", "sha256", "md5", "url", "domain"]
WIDTHS: dict[Of, int] = {"xxh3": 16, "sha256": 32, "md5": 16, "url": 16, "domain": 16}
"""Bytes of a digest; URLs and domains are held as their xxh3_128."""
_COLUMNS: dict[Of, str] = {"xxh3": "hash", "sha256": "hash", "md5": "hash", "url": "url", "domain": "domain"}
_BATCH = 65536  # rows of a Parquet file at once


@dataclass(frozen=True)
class Source:
    """A file of a list: its sha256 in hex digits, and how many entries it holds, repeated ones included."""

    path: str
    sha256: str
    entries: int

    def as_json(self) -> dict[str, str | int]:
        """The source as a record holds it."""
        return asdict(self)


@dataclass(frozen=True)
class DenyList:
    """The entries of all files of a list, and where they came from."""

    entries: DigestSet
    sources: tuple[Source, ...]


def read_lists(of: Of, files: tuple[str, ...]) -> DenyList:
    """Read the files of a list.

    A name that ends in `.parquet` is read as Parquet with a column `hash` (hex digits, or bytes), `url` or
    `domain`; any other as UTF-8 text with an entry a line, without empty lines and those that begin with `#`.

    Raises InputError, in one line, for a file that cannot be read, holds no entry, or holds a line that is none.
    """
    data = bytearray()
    sources = []
    for path in files:
        before = len(data)
        try:
            fs, place = filesystem(path)
            with fs.open(place, "rb") as file:
                read = _parquet if path.lower().endswith(".parquet") else _text
                digest = read(file, of, path, data)
        except (OSError, pa.ArrowException) as error:
            cause = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"deny list {path} cannot be read ({cause}); give a text or Parquet file"
            ) from error
        count = (len(data) - before) // WIDTHS[of]
        if not count:
            raise InputError(f"deny list {path} holds no entry; fill it, or leave it out of `files`")
        sources.append(Source(path, digest, count))
    return DenyList(digest_set(data, WIDTHS[of]), tuple(sources))


def url_digest(url: str) -> bytes:
    """The digest by which a URL or a domain is held, 16 bytes."""
    return xxhash.xxh3_128_digest(url.encode("utf-8"))


# Any: what fsspec opens.
def _text(file: Any, of: Of, path: str, data: bytearray) -> str:
    """Append the digests of a text file's entries to `data`; returns the file's sha256."""
    digest, entry_of = hashlib.sha256(), _ENTRY[of]
    for number, line in enumerate(file, start=1):
        digest.update(line)
        try:
            entry = (line.decode("utf-8-sig") if number == 1 else line.decode("utf-8")).strip()
            if entry and not entry.startswith("#"):
                data += entry_of(entry)
        except ValueError as error:  # UnicodeDecodeError among them
            raise _malformed(
                path, f"line {number}", line[:80].decode("utf-8", "replace").strip(), of
            ) from error
    return digest.hexdigest()


def _parquet(file: Any, of: Of, path: str, data: bytearray) -> str:
    """As `_text`, of a Parquet file."""
    digest, column, width = hashlib.file_digest(file, "sha256").hexdigest(), _COLUMNS[of], WIDTHS[of]
    file.seek(0)
    table = pq.ParquetFile(file)
    if column not in table.schema_arrow.names:
        raise InputError(
            f"deny list {path} has the columns {', '.join(table.schema_arrow.names)}; a list of {of} is read from "
            f"`{column}`; rename it"
        )
    for number, value in enumerate(_values(table, column), start=1):
        try:
            if isinstance(value, bytes) and column == "hash":
                if len(value) != width:
                    raise ValueError
                data += value
            elif isinstance(value, str) and value.strip():
                data += _ENTRY[of](value.strip())
            else:
                raise ValueError
        except ValueError as error:
            raise _malformed(path, f"row {number}", str(value)[:80], of) from error
    return digest


def _values(table: pq.ParquetFile, column: str) -> Iterator[object]:
    for batch in table.iter_batches(_BATCH, columns=[column]):
        yield from batch.column(0).to_pylist()


def _malformed(path: str, place: str, found: str, of: Of) -> InputError:
    expected = {"url": "a URL", "domain": "a domain such as example.com"}.get(
        of, f"{2 * WIDTHS[of]} hex digits"
    )
    return InputError(
        f"deny list {path}, {place}: {found!r} is no {of}; expected {expected}; mend or remove it"
    )


def _hex(width: int) -> Callable[[str], bytes]:
    def entry(text: str) -> bytes:
        digest = bytes.fromhex(text)
        if len(digest) != width or len(text) != 2 * width:
            raise ValueError
        return digest

    return entry


_ENTRY: dict[Of, Callable[[str], bytes]] = {
    "xxh3": _hex(16),
    "sha256": _hex(32),
    "md5": _hex(16),
    "url": url_digest,
    "domain": lambda text: url_digest(domain_of_entry(text)),
}
