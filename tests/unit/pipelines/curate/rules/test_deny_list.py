"""Pairs that a list names, against Python's own sets."""

import hashlib
import pickle

import pyarrow as pa
import pytest
import xxhash
from pydantic import ValidationError

from data_filters import Facts
from data_filters.errors import InputError
from data_filters.image import ImageHeader
from pipelines.common.causes import RunFailed
from pipelines.curate.rules.deny_list import DenyListRule

IMAGES = [f"image {number}".encode() for number in range(40)]
HASHES = {
    "xxh3": lambda data: xxhash.xxh3_128_hexdigest(data),
    "sha256": lambda data: hashlib.sha256(data).hexdigest(),
    "md5": lambda data: hashlib.md5(data).hexdigest(),
}


def scored(rule: DenyListRule, facts: list[Facts]) -> pa.Table:
    columns = {"image_hash": pa.array([xxhash.xxh3_128_digest(pair.data) for pair in facts], pa.binary(16))}
    for group in rule.groups():
        batch = group.measure(facts)
        columns |= dict(zip(batch.schema.names, batch.columns, strict=True))
    return pa.table(columns)


@pytest.mark.parametrize("of", HASHES)
def test_images_by_their_bytes(of, tmp_path):
    listed = IMAGES[::3]
    (tmp_path / "list").write_text("\n".join(HASHES[of](data) for data in listed))
    rule = DenyListRule(of=of, files=(str(tmp_path / "list"),))
    rule.check()
    table = scored(rule, [Facts(ImageHeader(3, 4, "png"), "", data) for data in IMAGES])
    copy = pickle.loads(pickle.dumps(rule))
    assert copy.fails(table).tolist() == rule.fails(table).tolist() == [data in listed for data in IMAGES]
    assert rule.values(table) == [HASHES[of](data) for data in IMAGES]
    assert set(rule.columns()) <= set(table.column_names)
    missing = pa.table({name: pa.nulls(2, table.schema.field(name).type) for name in rule.columns()})
    assert rule.fails(missing).tolist() == [True, True]


@pytest.mark.parametrize("missing", ["keep", "drop"])
@pytest.mark.parametrize("of", ["url", "domain"])
def test_pairs_by_their_url(of, missing, tmp_path):
    urls = ["https://bad.example/1", "https://BAD.example/2", "https://a.bad.example/1", "https://good.example/1",
            None, 7, ["https://bad.example/1"], "\ud800", " https://bad.example/1\n"]  # fmt: skip
    (tmp_path / "list").write_text({"url": "https://bad.example/1\n", "domain": "bad.example\n"}[of])
    rule = DenyListRule(of=of, files=(str(tmp_path / "list"),), field="from.url", missing=missing)
    facts = [Facts(ImageHeader(3, 4, "png"), "", b"", {"from": {"url": url}}) for url in urls]
    table = scored(rule, facts)
    drop = missing == "drop"
    expected = {
        "url": [True, False, False, False, drop, False, True, True, True],
        "domain": [True, True, True, False, drop, True, True, True, True],
    }[of]
    assert rule.fails(table).tolist() == expected
    values = rule.values(table)
    assert values[4] == "missing"
    assert "surrogate" in values[7]
    assert (
        values[0] == {"url": xxhash.xxh3_128_hexdigest(b"https://bad.example/1"), "domain": "bad.example"}[of]
    )


def test_sources_say_which_files_were_read_and_check_reads_them_anew(tmp_path):
    path = tmp_path / "list"
    rule = DenyListRule(of="md5", files=(str(path),))
    for lines in ("00" * 16, "00" * 16 + "\n" + "11" * 16):
        path.write_text(lines)
        rule.check()
        digest = hashlib.sha256(lines.encode()).hexdigest()
        assert rule.sources() == [{"path": str(path), "sha256": digest, "entries": len(lines.split())}]
    path.write_text("")
    with pytest.raises(InputError, match="holds no entry"):
        rule.check()


def test_a_worker_that_reads_another_list_than_was_checked_says_so(tmp_path):
    path = tmp_path / "list"
    path.write_text("00" * 16)
    rule = DenyListRule(of="md5", files=(str(path),))
    rule.check()
    assert rule == DenyListRule(of="md5", files=(str(path),))
    sent = pickle.loads(pickle.dumps(rule))
    path.write_text("11" * 16)
    DenyListRule(
        of="md5", files=(str(path),)
    ).check()  # this process holds the new list, as a new worker would
    with pytest.raises(RunFailed, match=r"list has changed during the run \(sha256"):
        sent.sources()


def test_what_it_names_may_not_be_shown():
    rule = DenyListRule(of="sha256", files=("a",))
    assert rule.hides_content is True
    assert "hides_content" not in rule.model_dump()
    assert rule.words() == "keeps: sha256 of the image on no list of a"
    url = DenyListRule(of="url", files=("a",))
    assert url.words() == "keeps: url in url on no list of a, and not missing"
    assert (
        url.model_copy(update={"missing": "keep"}).words()
        == "keeps: url in url on no list of a, or it is missing"
    )
    assert DenyListRule(of="xxh3", files=("a",)).groups() == ()
    for bad in ({"of": "sha1", "files": ("a",)}, {"of": "md5", "files": ()}, {"of": "md5"}):
        with pytest.raises(ValidationError):
            DenyListRule(**bad)
