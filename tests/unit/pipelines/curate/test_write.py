"""Phase C: bytes go out as they came in, the facts beside them, the manifest last."""

import hashlib
import io
import json
import tarfile

import pytest
from curation import curate_one
from PIL import Image

from pipelines.curate import write as write_module
from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units
from pipelines.curate.update import FORMAT
from pipelines.shards import batches
from pipelines.shards.manifest import committed_shards
from pipelines.shards.reader import read_index, walk
from pipelines.shards.writer import write_shard

CONFIG = CurateConfig(min_side=20, examples=1)


def jpeg(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), (10, 80, 160)).save(out, "JPEG")
    return out.getvalue()


SAMPLES = [
    ("z", {"jpg": jpeg(40, 30), "txt": "  żółw i kot\n".encode(), "cls": b"\x00\xff", "seg.png": b"S"}),
    ("small", {"jpg": jpeg(40, 20), "txt": b"a b c"}),
    ("small2", {"jpg": jpeg(40, 19), "txt": b"a b c"}),
    ("a", {"JPG": jpeg(41, 31), "json": b'{"z": 1.0, "caption": "one two three", "k": [null]}'}),
]


def run(tmp_path, output: str, config: CurateConfig = CONFIG) -> dict:
    write_shard(tmp_path / "raw" / "0.tar", SAMPLES)
    return curate_one(find_units(str(tmp_path / "raw"))[0], output, config)[2]


def contents(path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


def test_members_survive_byte_for_byte_and_facts_are_added(tmp_path):
    run(tmp_path, str(tmp_path / "out"))
    found = contents(tmp_path / "out" / "0.tar")
    raw = {f"{key}.{name}": data for key, parts in SAMPLES for name, data in parts.items()}
    assert list(found) == ["a.JPG", "a.json", "z.cls", "z.jpg", "z.json", "z.seg.png", "z.txt"]
    for name in set(found) - {"a.json", "z.json"}:
        assert found[name] == raw[name]

    made, kept = json.loads(found["z.json"]), json.loads(found["a.json"])
    assert list(made) == ["loupe"]
    loupe = kept.pop("loupe")
    assert kept == json.loads(raw["a.json"])
    assert list(kept) == ["z", "caption", "k"]
    places = {f"{m.key}.{m.extension}": m.offset for m in walk(tmp_path / "raw" / "0.tar")}
    assert loupe["source"] == {"shard": "0.tar", "offset": places["a.JPG"]}
    assert loupe["image"] == {"width": 41, "height": 31, "format": "jpeg"}
    assert (loupe["scores"], loupe["phrases"]) == ({}, [])
    assert set(loupe["hashes"]) == {"caption", "image"}


def test_manifest_describes_what_lies_there(tmp_path):
    manifest = run(tmp_path, str(tmp_path / "out"))
    written = json.loads((tmp_path / "out" / "manifests" / "0.json").read_text())
    assert written == {"version": 1, **manifest}
    (tar,) = written["outputs"]
    data = (tmp_path / "out" / tar["tar"]).read_bytes()
    assert (tar["size"], tar["sha256"], tar["samples"]) == (len(data), hashlib.sha256(data).hexdigest(), 2)
    raw = (tmp_path / "raw" / "0.tar").read_bytes()
    (source,) = written["inputs"]
    assert (source["name"], source["uri"]) == ("0", str(tmp_path / "raw" / "0.tar"))
    assert source["sha256"] == hashlib.sha256(raw).hexdigest()
    assert source["size"] == len(raw)
    assert source["quarantine"] is None
    assert (written["format"], written["history"], written["renamed"]) == (FORMAT, [], [])
    assert written["rules"] == ["small_image", "extreme_aspect", "few_words", "many_words"]
    assert (written["funnel"]["pairs"], written["funnel"]["kept"]) == (4, 2)
    assert read_index(tmp_path / "out" / "0.tar") == list(walk(tmp_path / "out" / "0.tar"))
    assert committed_shards(tmp_path / "out")[0].samples == 2


def test_batches_do_not_change_the_bytes(tmp_path, monkeypatch):
    run(tmp_path, str(tmp_path / "out"))
    monkeypatch.setattr(batches, "READ_AHEAD", 1)
    run(tmp_path, str(tmp_path / "again"))
    for name in ["0.tar", "0.index.parquet", "status/0.parquet", "manifests/0.json"]:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_shard_without_survivors_is_committed_without_a_tar(tmp_path):
    manifest = run(tmp_path, str(tmp_path / "out"), CurateConfig(min_side=1000, examples=0))
    assert manifest["outputs"] == []
    assert committed_shards(tmp_path / "out") == []
    assert not list((tmp_path / "out").glob("*.tar"))


def test_nothing_is_committed_when_writing_fails(tmp_path, monkeypatch):
    def failing(*_args, **_kwargs):
        raise OSError("disk is gone")

    monkeypatch.setattr(write_module, "write_status", failing)
    with pytest.raises(OSError, match="disk is gone"):
        run(tmp_path, str(tmp_path / "out"))
    assert committed_shards(tmp_path / "out") == []
