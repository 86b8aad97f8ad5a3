"""Pictures whose header is whole and whose pixels are not are replaced in training, and counted."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from raw_shards import picture, write_tar
from small_runs import small_run

from pretrain.training.launch_local import run_local


def flipped_chunk(data: bytes) -> bytes:
    """The name of the second IDAT is garbage."""
    at = data.index(b"IDAT", data.index(b"IDAT") + 4)
    return data[:at] + b"\0\1\2\3" + data[at + 4 :]


def large_png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def bomb(side: int = 14000) -> bytes:
    """A picture of 196 million grey pixels in 190 kB."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = chunk(
        b"IDAT", zlib.compress(bytes(side + 1) * 200, 9)
    )  # what is claimed counts, not what is there
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


BROKEN = {
    "cut.png": large_png()[:60000],
    "flipped.png": flipped_chunk(large_png()),
    "bomb.png": bomb(),
    "half.webp": picture(32, 32, format="WEBP")[:100],
    "text.jpg": b"no picture",
}


@pytest.mark.parametrize("committed", [False, True])
def test_each_is_replaced_and_counted(tmp_path, committed, caplog):
    members = {}
    for number in range(11):
        members |= {
            f"{number:02d}.jpg": picture(40, 40, seed=number),
            f"{number:02d}.txt": f"picture {number}",
        }
    for name, data in BROKEN.items():
        members |= {name: data, f"{name.split('.')[0]}.txt": "a red apple"}
    write_tar(tmp_path / "data" / "00000.tar", members)
    if committed:
        (tmp_path / "data" / "manifests").mkdir()
        outputs = [{"tar": "00000.tar", "samples": 16, "sha256": ""}]
        (tmp_path / "data" / "manifests" / "all.json").write_text(json.dumps({"outputs": outputs}))
    logged = []
    run = small_run(str(tmp_path / "data"), tmp_path / "run", {"steps": 4, "log_every": 4})
    run_local(run, logged.append)
    assert logged[-1]["step"] == 4
    assert logged[-1]["data/bad_samples"] >= len(BROKEN)  # those read ahead of the last step are counted too
    assert np.isfinite(logged[-1]["train/loss"])
    reasons = (
        "truncated_image: png",
        "broken_image: png",
        "too_many_pixels",
        "broken_image: webp",
        "unknown_image_format",
    )
    assert [reason for reason in reasons if reason not in caplog.text] == []
