"""A phone's picture with a video behind it, and an MPO cut in its second picture, are kept."""

import io
import random

from curation import bad_of, pairs_of
from PIL import Image
from raw_shards import CAPTION, picture, write_tar

from pipelines.curate.scan import scan
from pipelines.shards.unit import Unit


def quarantined(path) -> dict[str, str]:
    scanned = scan(Unit(path.stem, str(path), path.stat().st_size))
    reasons = {row["key"]: row["reason"] for row in bad_of(scanned)}
    return reasons | {row["key"]: "" for row in pairs_of(scanned)}


def two_pictures() -> tuple[bytes, int]:
    """An MPO, and the byte at which its second picture starts."""
    first, second = (Image.open(io.BytesIO(picture(seed=seed))) for seed in (1, 2))
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[second])
    return out.getvalue(), out.getvalue().index(b"\xff\xd9\xff\xd8\xff") + 2


def test_what_follows_the_first_picture_may_be_anything(tmp_path):
    mpo, second = two_pictures()
    members, expected = {}, {}

    def pair(key: str, data: bytes, reason: str, extension: str = "jpg") -> None:
        members.update({f"{key}.{extension}": data, f"{key}.txt": f"{CAPTION} {key}"})
        expected[key] = reason

    for number in range(8):
        video = b"\0\0\0\x18ftypmp42" + random.Random(number).randbytes(200_000)
        pair(f"video{number}", picture(seed=number, progressive=number % 2 == 1) + video, "")
    pair("mpo", mpo, "")
    pair("mpo_cut_in_second", mpo[:-500], "")
    pair("mpo_cut_in_first", mpo[: second - 500], "truncated_image")
    pair("mpo_first_cut_second_whole", mpo[: second - 500] + mpo[second:], "truncated_image")
    pair("cut", picture()[:-500], "truncated_image")
    pair("progressive_cut", picture(progressive=True)[:-3000], "truncated_image")
    pair("png_and_bytes", picture(format="PNG") + bytes(1000), "", "png")
    pair("png_cut", picture(format="PNG")[:-1000], "truncated_image", "png")
    assert quarantined(write_tar(tmp_path / "0.tar", members)) == expected
