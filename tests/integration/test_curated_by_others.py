"""Curated shards as other programs read them: webdataset's, Ray's, and open_clip's way of naming the columns."""

import json
import tarfile

import pytest
import ray
import webdataset as wds
from curation import curate_one
from raw_shards import picture, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.shards.unit import Unit

pytestmark = pytest.mark.ray

SHARDS, EACH = 2, 8
FORMATS = {"jpg": "JPEG", "png": "PNG"}  # Ray reads no shard whose pairs have different extensions


@pytest.fixture(scope="module")
def curated(tmp_path_factory):
    """A folder of curated shards and what they should hold: key → (extension, image, caption)."""
    folder = tmp_path_factory.mktemp("by_others")
    expected: dict[str, tuple[str, bytes, str]] = {}
    for shard in range(SHARDS):
        members: dict[str, bytes | str] = {"small.jpg": picture(30, 30), "small.txt": "too small to be kept"}
        for number in range(EACH):
            key = f"part.{shard}/é {number:02}"
            extension = list(FORMATS)[shard]
            image = picture(90, 80, seed=number, format=FORMATS[extension])
            caption = f"a brown dog runs, naïvely, {shard} {number}"
            members |= {f"{key}.{extension}": image, f"{key}.txt": caption}
            if number % 2:
                members[f"{key}.json"] = json.dumps(
                    {"license": "CC-BY-4.0", "url": f"https://a.org/{number}"}
                )
            expected[key] = (extension, image, caption)
        path = write_tar(folder / "raw" / f"{shard:05}.tar", members, tarfile.PAX_FORMAT)
        curate_one(
            Unit(f"{shard:05}", str(path), path.stat().st_size),
            str(folder / "out"),
            CurateConfig(min_side=64),
        )
    return folder / "out", expected


def urls(output) -> list[str]:
    return [str(path) for path in sorted(output.glob("*.tar"))]


def test_webdataset_reads_the_bytes_that_went_in(curated):
    output, expected = curated
    samples = list(wds.WebDataset(urls(output), shardshuffle=False))
    found = {}
    for sample in samples:
        (extension,) = [name for name in FORMATS if name in sample]
        found[sample["__key__"]] = (extension, sample[extension], sample["txt"].decode())
        assert json.loads(sample["json"])["loupe"]["source"]["shard"] in ("00000.tar", "00001.tar")
    assert found == expected
    assert len(samples) == len(expected)


def test_the_pipeline_of_open_clip_decodes_every_pair(curated):
    """The steps of open_clip 3.3.0, `get_wds_dataset`, with its names of columns: `jpg;png;jpeg;webp` and `txt`."""
    output, expected = curated
    pipeline = wds.DataPipeline(
        wds.SimpleShardList(urls(output)),
        wds.tarfile_to_samples(),
        wds.select(lambda one: "txt" in one and any(name in one for name in ("png", "jpg", "jpeg", "webp"))),
        wds.decode("pilrgb"),
        wds.rename(image="jpg;png;jpeg;webp", text="txt"),
        wds.to_tuple("image", "text"),
        wds.batched(4, partial=True),
    )
    texts, sizes = [], set()
    for images, captions in pipeline:
        texts += captions
        sizes |= {image.size for image in images}
    assert sorted(texts) == sorted(caption for _, _, caption in expected.values())
    assert sizes == {(90, 80)}


def test_ray_data_reads_every_pair(curated, ray_cluster):
    output, expected = curated
    rows = ray.data.read_webdataset(urls(output), decoder=None).take_all()
    found = {}
    for row in rows:
        (extension,) = [name for name in FORMATS if row.get(name) is not None]
        found[row["__key__"]] = (extension, row[extension], row["txt"].decode())
    assert found == expected


def test_ray_data_decodes_every_pair(curated, ray_cluster):
    output, expected = curated
    rows = ray.data.read_webdataset(urls(output)).take_all()
    assert sorted(row["txt"] for row in rows) == sorted(caption for _, _, caption in expected.values())
    shapes = {row[name].shape for row in rows for name in FORMATS if row.get(name) is not None}
    assert shapes == {(80, 90, 3)}
