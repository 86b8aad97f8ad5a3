"""Which photographs of a folder are found, how they are divided, and what is said of bad ones."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import tarfile
from itertools import chain
from pathlib import Path

import fsspec
import pytest
from raw_shards import pairs, picture, write_tar

from data_filters.errors import InputError
from pipelines.icon_world.photographs import Photographs, find_photographs, read_photograph

SPLITS = ("train", "test", "unseen")
SIDE = 64


def photographs(count: int) -> list[bytes]:
    """Different small lossless pictures."""
    return [picture(12, 10, seed=number, format="PNG") for number in range(count)]


def write_files(folder: Path, contents: list[bytes], prefix: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(contents):
        (folder / f"{prefix}{number:04d}.png").write_bytes(data)
    return folder


def contents(found: Photographs, split: str) -> list[bytes]:
    """The bytes of a split's photographs, read where they are said to lie."""
    read = []
    for number in range(found.counts[split]):
        place = found.photograph(split, number)
        with fsspec.open(place.uri, "rb") as file:
            file.seek(place.offset)
            read.append(file.read(place.length))
    return read


def every(found: Photographs) -> set[bytes]:
    return set(chain.from_iterable(contents(found, split) for split in SPLITS))


def test_images_and_members_of_tars_are_found_and_nothing_else(tmp_path: Path) -> None:
    files = {
        "a.jpg": picture(seed=1),
        "b.JPEG": picture(seed=2),
        "c.png": picture(seed=3, format="PNG"),
        "d.WebP": picture(seed=4, format="WEBP"),
    }
    members = {
        "1.jpg": picture(seed=5),
        "1.json": "{}",
        "1.txt": "a dog",
        "2.PNG": picture(seed=6, format="PNG"),
    }
    others = {"e.gif": picture(seed=7, format="GIF"), ".f.jpg": picture(seed=8), "sub/g.jpg": picture(seed=9)}
    (tmp_path / "sub").mkdir()
    for name, data in (files | others | {"notes.txt": b"no photograph"}).items():
        (tmp_path / name).write_bytes(data)
    write_tar(tmp_path / "pairs.tar", members)
    write_tar(tmp_path / "sub" / "more.tar", pairs(2))
    found = find_photographs(str(tmp_path), SIDE, ())
    assert every(found) == {*files.values(), members["1.jpg"], members["2.PNG"]}
    assert found.unreadable == ()


def test_a_photograph_belongs_to_the_split_that_the_hash_of_its_bytes_gives(tmp_path: Path) -> None:
    """Of ten remainders of the first eight bytes eight are of train; the order is that of the hashes."""
    made = photographs(300)
    expected: dict[str, list[bytes]] = {split: [] for split in SPLITS}
    for data in sorted(made, key=lambda data: hashlib.sha256(data).digest()):
        number = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
        number -= 2**64 if number >= 2**63 else 0
        expected["train" if number % 10 < 8 else "test" if number % 10 == 8 else "unseen"].append(data)
    found = find_photographs(str(write_files(tmp_path, made)), SIDE, SPLITS)
    assert {split: contents(found, split) for split in SPLITS} == expected
    for split, share in {"train": 0.8, "test": 0.1, "unseen": 0.1}.items():
        deviation = (300 * share * (1 - share)) ** 0.5
        assert abs(found.counts[split] - 300 * share) < 3.5 * deviation
    digests = sorted(hashlib.sha256(data).digest() for data in made)
    assert found.sha256 == hashlib.sha256(b"".join(digests)).hexdigest()


def test_names_order_and_repetition_of_files_decide_nothing(tmp_path: Path) -> None:
    made = photographs(40)
    plain = find_photographs(str(write_files(tmp_path / "plain", made)), SIDE, ())
    other = write_files(tmp_path / "other", made[20:][::-1], "z")
    write_files(other, made[25:30], "again")
    write_tar(other / "0.tar", {f"{number}.png": data for number, data in enumerate(made[:22])})
    renamed = find_photographs(str(other), SIDE, ())
    assert renamed == plain
    assert hash(renamed) == hash(plain)
    assert {split: contents(renamed, split) for split in SPLITS} == {
        split: contents(plain, split) for split in SPLITS
    }
    assert find_photographs(str(write_files(tmp_path / "fewer", made[1:])), SIDE, ()) != plain


def test_links_and_uris_are_followed(tmp_path: Path) -> None:
    made = [picture(seed=number) for number in range(3)]
    for number, data in enumerate(made):
        (tmp_path / f"{number}.bin").write_bytes(data)
        (tmp_path / "links").mkdir(exist_ok=True)
        (tmp_path / "links" / f"{number}.jpg").symlink_to(tmp_path / f"{number}.bin")
        fsspec.filesystem("memory").pipe_file(f"/photographs-{tmp_path.name}/{number}.jpg", data)
    for folder in (str(tmp_path / "links"), f"memory://photographs-{tmp_path.name}"):
        found = find_photographs(folder, SIDE, ())
        assert every(found) == set(made)
        assert read_photograph(found.photograph("train", 0), SIDE).mode == "RGB"


def test_the_index_of_a_photograph_is_some_bytes_however_large_it_is(tmp_path: Path) -> None:
    members = {f"{number}.png": picture(200, 160, seed=number, format="PNG") for number in range(40)}
    write_tar(tmp_path / "a.tar", members)
    index = pickle.dumps(find_photographs(str(tmp_path), SIDE, ()))
    assert len(index) < 2000 + 40 * 40 < sum(map(len, members.values())) / 10


def test_what_cannot_be_read_is_named_and_passed_over(tmp_path: Path) -> None:
    whole = picture(seed=1)
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "cut.jpg").write_bytes(picture(seed=2)[:-200])
    (tmp_path / "text.png").write_bytes(b"no picture at all")
    (tmp_path / "gone.webp").symlink_to(tmp_path / "nowhere")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "no.tar").write_bytes(b"<html>not found</html>" * 100)
    write_tar(tmp_path / "some.tar", {"x.jpg": picture(seed=3), "y.jpg": b"\xff\xd8\xff broken"})
    cut = write_tar(tmp_path / "short.tar", {"v.jpg": picture(seed=4), "w.jpg": picture(seed=5)})
    with tarfile.open(cut) as tar:
        os.truncate(cut, tar.getmembers()[1].offset_data + 100)
    found = find_photographs(str(tmp_path), SIDE, ())
    assert every(found) == {whole, picture(seed=3), picture(seed=4)}
    named = sorted(text.split(":")[0] for text in found.unreadable)
    assert named == ["cut.jpg", "empty.jpg", "gone.webp", "no.tar", "short.tar", "some.tar/y.jpg", "text.png"]
    assert all(len(text.split(": ", 1)[1]) > 8 and "\n" not in text for text in found.unreadable)


def test_a_folder_without_photographs_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "b.jpg").write_bytes(b"text")
    for folder, said in {
        "absent": "does not exist; give a folder",
        "a.txt": "is a file; give a folder",
        ".": r"holds no photograph; read are the files .*, .* in its .tar files; give a folder",
        "bad": r"no photograph that can be read \(1 cannot, first b.jpg: unknown_image_format: .*\); give",
    }.items():
        with pytest.raises(InputError, match=said) as error:
            find_photographs(str(tmp_path / folder), SIDE, SPLITS)
        assert str(tmp_path) in str(error.value)
        assert "\n" not in str(error.value)


def test_a_split_without_a_photograph_is_an_input_error_where_it_is_rendered(tmp_path: Path) -> None:
    made = photographs(300)
    all_found = find_photographs(str(write_files(tmp_path / "all", made)), SIDE, SPLITS)
    train_alone = write_files(tmp_path / "train", contents(all_found, "train")[:5])
    assert find_photographs(str(train_alone), SIDE, ("train",)).counts == {"train": 5, "test": 0, "unseen": 0}
    with pytest.raises(
        InputError, match="5 different .* split test .* give more photographs, or set test_pairs"
    ):
        find_photographs(str(train_alone), SIDE, SPLITS)
    test_alone = write_files(tmp_path / "test", contents(all_found, "test")[:1])
    with pytest.raises(InputError, match="none of them for the split train .* give more photographs$"):
        find_photographs(str(test_alone), SIDE, SPLITS)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_large_photographs_are_read_smaller_but_not_below_twice_the_side(tmp_path: Path, kind: str) -> None:
    sizes = {(600, 500): 2, (300, 129): 1, (90, 100): 1, (1300, 1600): 8}
    for number, (width, height) in enumerate(sizes):
        (tmp_path / f"{number}.{kind.lower()}").write_bytes(picture(width, height, number, format=kind))
    found = find_photographs(str(tmp_path), SIDE, ())
    for split in SPLITS:
        for number in range(found.counts[split]):
            place = found.photograph(split, number)
            original = list(sizes)[int(Path(place.uri).stem)]
            read = read_photograph(place, SIDE)
            assert min(read.size) >= min(*original, 2 * SIDE)
            assert min(read.size) < 4 * SIDE
            assert read.width / read.height == pytest.approx(original[0] / original[1], rel=0.03)


def test_a_photograph_that_changes_while_it_is_used_is_an_input_error(tmp_path: Path) -> None:
    first, second = picture(12, 10, 1, format="BMP"), picture(12, 10, 2, format="BMP")
    (tmp_path / "a.jpg").write_bytes(first)
    found = find_photographs(str(tmp_path), SIDE, ())
    split = next(split for split in SPLITS if found.counts[split])
    place = found.photograph(split, 0)
    assert read_photograph(place, SIDE).size == (12, 10)
    assert len(second) == len(first)
    (tmp_path / "a.jpg").write_bytes(second)
    with pytest.raises(
        InputError, match="a.jpg was changed while .* other bytes.* leave the folder as it is"
    ):
        read_photograph(place, SIDE)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(InputError, match="a.jpg was changed while .* No such file"):
        read_photograph(place, SIDE)


def test_a_real_shard(shared_data: Path, tmp_path: Path) -> None:
    shard = shared_data / "coco" / "00000.tar"
    if not shard.exists():
        pytest.skip(f"no shard of COCO at {shard}")
    shutil.copy(shard, tmp_path)
    with tarfile.open(shard) as tar:
        images = {tar.extractfile(name).read() for name in tar.getnames() if name.endswith(".jpg")}
    found = find_photographs(str(tmp_path), 112, SPLITS)
    assert every(found) == images
    assert found.unreadable == ()
    assert min(found.counts.values()) >= 1
