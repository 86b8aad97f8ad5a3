"""Damaged pictures of every format, through each place that reads foreign images."""

import time
from pathlib import Path

import pytest
from curation import bad_of, judged, kept_keys, rejected, scanned
from damaged_images import FORMATS, damaged_picture, supported, whole_pictures
from raw_shards import CAPTION, write_tar

from data_filters.decode import MOST_PIXELS, decode
from data_filters.image import read_header
from data_filters.sample import BrokenSample, Sample
from pipelines.curate.config import CurateConfig
from pipelines.shards.unit import Unit
from pretrain.data.samples.captions import CaptionEncoder
from pretrain.data.samples.images import Augmentation
from pretrain.data.samples.preparation import Preparation
from pretrain.data.samples.tokenizer import load_tokenizer

SECONDS = 4.0  # of CPU for one picture; one of MOST_PIXELS takes about one
GIGABYTES = 2.5  # peak memory of the process; one picture of MOST_PIXELS takes about 0.8 in RGBA on white


def forget_peak_memory():
    """Begin to measure the process's peak of memory anew, since other tests may have needed more."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory():
    """Peak of the process's memory since then, kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def attempt(read, data, where):
    """What `read` returns, or the reason of its BrokenSample; any other error names the picture."""
    start = time.process_time()
    try:
        result, said = read(data), "read"
    except BrokenSample as broken:
        result, said = broken.reason, broken.detail
    except Exception as error:
        raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
    assert time.process_time() - start < SECONDS, f"{where} took seconds"
    assert result, where
    assert said, where
    assert "\n" not in said, where
    return result


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("format", FORMATS)
def test_nothing_but_a_broken_sample_leaves(format, repetitions, tmp_path):
    if not supported(format):
        pytest.skip(f"this Pillow has no {format}")
    prepare = Preparation(CaptionEncoder(load_tokenizer("loupe"), 24), 32, Augmentation((0.5, 1.0)))
    count, decoded, members = repetitions(2000), 0, {}
    forget_peak_memory()
    for data in whole_pictures(format):
        assert decode(data).mode == "RGB"
    for seed in range(count):
        data, where = damaged_picture(format, seed), f"damaged_picture({format!r}, {seed})"
        header = attempt(read_header, data, f"header of {where}")
        image = attempt(decode, data, f"pixels of {where}")
        if not isinstance(image, str):
            decoded += 1
            assert image.mode == "RGB", where
            assert image.width * image.height <= MOST_PIXELS, where
            if not isinstance(header, str):
                assert image.size == (header.width, header.height), where
        sample = Sample(f"{seed}", data, "jpg", CAPTION, None)
        pair = attempt(lambda _: prepare.pair(sample, (seed,)), data, f"preparation of {where}")  # noqa: B023
        assert isinstance(pair, str) == isinstance(image, str), where
        members |= {f"{seed:05d}.jpg": data, f"{seed:05d}.txt": CAPTION}
    assert 0.02 < decoded / count < 0.9, f"{decoded} of {count} decoded: damage is too strong or too weak"

    path = write_tar(tmp_path / "0.tar", members)
    config = CurateConfig(min_side=20)
    found = scanned(Unit("0", str(path), path.stat().st_size), config)
    decision = judged(found, config)
    kept = kept_keys(found, decision)
    dropped = [key for key, _ in rejected(found, decision, config)]
    quarantined = [row["key"] for row in bad_of(found)]
    assert sorted(kept + dropped + quarantined) == [f"{seed:05d}" for seed in range(count)]
    assert all(row["reason"] for row in bad_of(found))
    assert all(reason for _, reason in rejected(found, decision, config))
    funnel = decision.funnel
    assert (funnel.samples, funnel.kept, funnel.quarantined) == (count, len(kept), len(quarantined))
    assert sum(funnel.quarantine.values()) == len(quarantined)
    if format in ("JPEG", "PNG", "APNG", "WEBP"):
        assert kept
    assert peak_memory() < GIGABYTES * 2**20
