"""Headers against Pillow, which decodes the whole image."""

import io
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_filters.image import ImageHeader, aspect_ratio, pixels, read_header, shorter_side
from data_filters.sample import BrokenSample
from pipelines.shards.reader import iterate


def encoded(width: int, height: int, kind: str, mode: str = "RGB", **how: object) -> bytes:
    noise = random.Random(width * 1000 + height).randbytes(
        width * height * len(Image.new(mode, (1, 1)).getbands())
    )
    out = io.BytesIO()
    Image.frombytes(mode, (width, height), noise).save(out, kind, **how)
    return out.getvalue()


KINDS = [
    ("jpeg", "RGB", {}),
    ("jpeg", "L", {}),
    ("jpeg", "CMYK", {}),
    ("jpeg", "RGB", {"progressive": True}),
    ("png", "RGB", {}),
    ("png", "RGBA", {}),
    ("webp", "RGB", {"lossless": True}),
    ("webp", "RGB", {"quality": 50}),
    ("webp", "RGBA", {"quality": 50}),
]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(KINDS))
def test_size_and_format_are_those_that_pillow_finds(width, height, kind):
    name, mode, how = kind
    data = encoded(width, height, name, mode, **how)
    with Image.open(io.BytesIO(data)) as image:
        assert read_header(data) == ImageHeader(*image.size, image.format.lower())


@pytest.mark.parametrize(("name", "mode", "how"), KINDS)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_cut_file_is_truncated(name, mode, how, part):
    data = encoded(80, 60, name, mode, **how)
    with pytest.raises(BrokenSample) as raised:
        read_header(data[: int(len(data) * part)])
    assert raised.value.reason in {"truncated_image", "broken_image"}


def test_an_embedded_thumbnail_does_not_hide_a_cut():
    thumbnail = encoded(16, 16, "jpeg")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = encoded(80, 60, "jpeg")
    whole = whole[:2] + segment + whole[2:]
    assert read_header(whole) == ImageHeader(80, 60, "jpeg")
    with pytest.raises(BrokenSample, match="truncated_image"):
        read_header(whole[: len(whole) - 200])


def test_bytes_after_the_end_are_no_damage():
    assert read_header(encoded(30, 20, "jpeg") + bytes(100)) == ImageHeader(30, 20, "jpeg")
    assert read_header(encoded(30, 20, "png") + b"junk") == ImageHeader(30, 20, "png")


VIDEO = b"\0\0\0\x18ftypmp42" + random.Random(0).randbytes(100_000) + b"\xff\xda\xff\xd8\xff\xe0\xff\xda"


@pytest.mark.parametrize("how", [{}, {"progressive": True}])
def test_a_video_behind_the_picture_is_no_damage_and_hides_none(how):
    whole = encoded(80, 60, "jpeg", **how)
    assert read_header(whole + VIDEO) == ImageHeader(80, 60, "jpeg")
    with pytest.raises(BrokenSample, match=r"truncated_image|broken_image"):
        read_header(whole[:-300] + VIDEO)


def test_a_second_picture_is_not_judged_and_hides_no_cut():
    first, second = (Image.open(io.BytesIO(encoded(80, 60, "jpeg", quality=q))) for q in (60, 90))
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[second])
    data = out.getvalue()
    start = data.index(b"\xff\xd9\xff\xd8\xff") + 2
    for cut in (len(data), len(data) - 500, start + 30, start):
        assert read_header(data[:cut]) == ImageHeader(80, 60, "jpeg")
    with pytest.raises(BrokenSample, match="truncated_image"):
        read_header(data[: start - 200])
    with pytest.raises(BrokenSample, match="truncated_image"):
        read_header(data[: start - 200] + data[start:])  # the end marker is the second picture's


def test_markers_within_a_segment_are_none():
    whole = encoded(80, 60, "jpeg")
    comment = b"\xff\xd9 \xff\xda \xff\xd8\xff"
    whole = whole[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + whole[2:]
    assert read_header(whole) == ImageHeader(80, 60, "jpeg")
    with pytest.raises(BrokenSample, match="truncated_image"):
        read_header(whole[:-100])


def test_an_animated_png_is_judged_by_its_first_frame():
    frames = [Image.frombytes("RGB", (40, 30), random.Random(seed).randbytes(3600)) for seed in range(3)]
    out = io.BytesIO()
    frames[0].save(out, "PNG", save_all=True, append_images=frames[1:])
    data = out.getvalue()
    second = data.index(b"fcTL", data.index(b"IDAT"))
    for cut in (len(data), len(data) - 20, second + 400):
        assert read_header(data[:cut]) == ImageHeader(40, 30, "png")
        with Image.open(io.BytesIO(data[:cut])) as image:
            image.load()
    with pytest.raises(BrokenSample, match="truncated_image"):
        read_header(data[: second - 100])


def test_the_name_of_a_png_s_end_within_text_is_no_end():
    text = b"Comment\0IEND"
    chunk = len(text).to_bytes(4, "big") + b"tEXt" + text + zlib.crc32(b"tEXt" + text).to_bytes(4, "big")
    whole = encoded(30, 20, "png")
    whole = whole[:33] + chunk + whole[33:]
    assert read_header(whole) == ImageHeader(30, 20, "png")
    with pytest.raises(BrokenSample, match="truncated_image"):
        read_header(whole[:-100])


def test_a_png_with_a_damaged_chunk_or_without_pixels_is_broken():
    whole = encoded(30, 20, "png")
    for data in (
        whole.replace(b"IDAT", b"\0\1\2\3"),
        whole[:33] + whole[-12:],
        whole[:20] + b"\7" + whole[21:],
    ):
        with pytest.raises(BrokenSample, match="broken_image"):
            read_header(data)


def test_other_formats_are_told_and_are_no_damage():
    for kind in ("gif", "bmp", "tiff", "avif"):
        assert read_header(encoded(30, 20, kind)) == ImageHeader(30, 20, kind)


def test_the_size_is_that_of_the_picture_as_shown():
    exif = Image.Exif()
    for value, size in ((1, (40, 30)), (3, (40, 30)), (6, (30, 40)), (8, (30, 40))):
        exif[0x0112] = value
        for kind in ("jpeg", "png", "webp"):
            assert read_header(encoded(40, 30, kind, exif=exif.tobytes())) == ImageHeader(*size, kind)


@pytest.mark.parametrize("data", [b"", b"GIF88a\x01\x00", b"\xff", bytes(1000), b"RIFF\x00\x00\x00\x00WAVE"])
def test_other_bytes_are_an_unknown_format(data):
    with pytest.raises(BrokenSample, match="unknown_image_format"):
        read_header(data)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\x00\x00\x00WEBP"]),
    st.binary(max_size=80),
)
def test_garbage_after_a_signature_is_a_broken_sample_and_nothing_else(signature, rest):
    try:
        header = read_header(signature + rest)
    except BrokenSample:
        return
    assert header.width > 0
    assert header.height > 0


def test_scores_by_hand():
    assert shorter_side(ImageHeader(300, 100, "png")) == 100
    assert aspect_ratio(ImageHeader(300, 100, "png")) == aspect_ratio(ImageHeader(100, 300, "png")) == 3
    assert aspect_ratio(ImageHeader(7, 7, "png")) == 1
    assert pixels(ImageHeader(300, 100, "png")) == 30_000


def test_real_figures_decode_exactly_when_their_header_says_so(shared_data):
    for _, members in iterate(str(shared_data / "openstax" / "raw" / "00012.tar")):
        with Image.open(io.BytesIO(members["jpg"])) as image:
            image.load()
            assert read_header(members["jpg"]) == ImageHeader(*image.size, "jpeg")
