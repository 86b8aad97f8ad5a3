"""What is listed of shards, folders of pictures and other files, and what is refused."""

import io

import fsspec
import pytest
from PIL import Image
from raw_shards import picture, write_tar

from data_filters.errors import InputError
from pipelines.leaks.inputs import BATCH, is_index, list_batches

ONE, TWO = picture(40, 30, seed=1), picture(30, 40, seed=2)


def read(uri) -> list[tuple[str, str, bytes | None, list[str]]]:
    found = [sample for batch in list_batches(str(uri)) for sample in batch.read()]
    return [(each.source, each.key, each.picture, sorted(each.members)) for each in found]


def test_samples_of_shards_with_the_place_of_their_pictures(tmp_path):
    tar = write_tar(
        tmp_path / "00000.tar",
        {
            "a.jpg": ONE,
            "a.txt": "one",
            "b.json": '{"caption": "two"}',
            "a.npy": b"x",
            "b.JPG": TWO,
            "c.txt": "c",
        },
    )
    assert read(tmp_path) == [
        (str(tar), "a", ONE, ["jpg", "txt"]),
        (str(tar), "b", TWO, ["JPG", "json"]),
        (str(tar), "c", None, ["txt"]),
    ]
    data = tar.read_bytes()
    places = [(each.offset, each.length) for batch in list_batches(str(tar)) for each in batch.read()]
    assert [data[at : at + length] for at, length in places[:2]] == [ONE, TWO]
    assert places[2] == (-1, 0)


def test_a_shard_gives_pictures_of_every_format_that_a_folder_gives(tmp_path):
    other = io.BytesIO()
    Image.new("RGB", (9, 9)).save(other, "GIF")
    tar = write_tar(
        tmp_path / "0.tar", {"a.GIF": other.getvalue(), "a.txt": "one", "b.gif": b"x", "b.jpg": ONE}
    )
    assert read(tar) == [
        (str(tar), "a", other.getvalue(), ["GIF", "txt"]),
        (str(tar), "b", ONE, ["jpg"]),
    ]


def test_pictures_of_a_folder_and_its_subfolders_with_captions(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a.jpg").write_bytes(ONE)
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / ".hidden.jpg").write_bytes(ONE)
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "GIF")
    (tmp_path / "deep" / "er" / "b.v2.GIF").write_bytes(out.getvalue())
    assert read(tmp_path) == [
        (str(tmp_path / "a.jpg"), "a", ONE, ["txt"]),
        (str(tmp_path / "deep/er/b.v2.GIF"), "b.v2", out.getvalue(), []),
    ]
    assert read(tmp_path / "a.jpg") == [(str(tmp_path / "a.jpg"), "a", ONE, [])]


def test_batches_are_cut(tmp_path):
    write_tar(tmp_path / "0.tar", {f"{n}.txt": "words" for n in range(BATCH + 1)})
    assert [len(batch.samples) for batch in list_batches(str(tmp_path))] == [BATCH, 1]


def test_inputs_of_a_storage_with_a_protocol():
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/leak-inputs/x.jpg", ONE)
    fs.pipe_file("/leak-inputs/x.txt", b"words")
    assert read("memory://leak-inputs") == [("memory:///leak-inputs/x.jpg", "x", ONE, ["txt"])]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nothing", None, "does not exist; give a folder"),
        ("empty/notes.md", b"x", "holds neither shards .* nor pictures"),
        ("cut/0.tar", "cut", "is damaged at byte .* fetch the shard again"),
        ("cut/*.zip", None, "no .tar file; check the pattern"),
    ],
)
def test_what_cannot_be_indexed_is_refused_in_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else b"")
    if content == "cut":
        write_tar(path, {"a.jpg": ONE, "b.jpg": TWO})
        path.write_bytes(path.read_bytes()[:-11000])
    with pytest.raises(InputError, match=message) as error:
        read(path if "*" in name or content is None else path.parent)
    assert "\n" not in str(error.value)


def test_only_a_parquet_file_may_be_an_index(tmp_path):
    (tmp_path / "index").write_bytes(b"PAR1 and so on")
    (tmp_path / "x.jpg").write_bytes(ONE)
    assert is_index(str(tmp_path / "index"))
    assert not is_index(str(tmp_path / "x.jpg"))
    assert not is_index(str(tmp_path))
    assert not is_index(str(tmp_path / "nothing"))
