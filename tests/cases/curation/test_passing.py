"""Oddities that come out right: kept, dropped or set aside, as the first letter of each key says."""

import io
import json
import os
import tarfile

from curation import bad_of, judged, kept_keys, rejected, scanned
from PIL import Image
from raw_shards import CAPTION, pairs, picture, write_tar

from pipelines.curate.config import CurateConfig
from pipelines.curate.inputs import find_units


def oddities() -> dict[str, bytes | str]:
    members: dict[str, bytes | str] = {}

    def pair(key: str, image: bytes | None = None, caption: str = CAPTION, extension: str = "jpg") -> None:
        members[f"{key}.{extension}"] = picture() if image is None else image
        members[f"{key}.txt"] = caption

    pair("k_upper", extension="JPG")
    pair("k_jpeg", extension="jpeg")
    pair("k_webp_named_jpg", picture(format="WEBP"))
    pair("k_png_named_jpg", picture(format="PNG"))
    for format in ("GIF", "AVIF", "BMP", "TIFF"):
        pair(f"k_{format}_named_jpg", picture(format=format))
    pair("q_svg", b"<svg/>")
    pair("q_empty_image", b"")
    pair("d_empty_caption", caption="")
    pair("d_1MB_caption", caption="dog " * 250_000)
    pair("k_crlf", caption="a brown dog\r\nruns fast\r\n")
    pair("k_html", caption="a &quot;red&quot; <b>car</b> & two dogs")
    pair("k_rtl", caption="\u202ea red umbrella on a table")
    pair("d_pixel_gif", picture(1, 1, format="GIF"))
    pair("k_dir.v1/sub/0001")
    pair("k_" + "long" * 60)
    turned = Image.Exif()
    turned[0x112] = 6
    pair("k_exif", picture(exif=turned.tobytes()))
    pair("k_progressive", picture(progressive=True))
    pair("q_progressive_cut", picture(progressive=True)[:-3000])
    frames = [Image.new("RGB", (300, 300), (i * 50, 0, 0)) for i in range(3)]
    moving = io.BytesIO()
    frames[0].save(moving, "WEBP", save_all=True, append_images=frames[1:])
    pair("k_animated_webp", moving.getvalue(), extension="webp")
    members |= {"k_json_only.jpg": picture(), "k_json_only.JSON": "\ufeff" + json.dumps({"caption": CAPTION})}
    members |= {"q_null.jpg": picture(), "q_null.json": json.dumps({"caption": None})}
    members |= {"q_text_only.txt": CAPTION, "q_image_only.jpg": picture()}
    members |= {"q_surrogate.jpg": picture(), "q_surrogate.json": '{"caption": "a dog \\ud83d runs"}'}
    members["._k_upper.JPG"] = b"Mac OS X"
    return members


def test_oddities_end_as_their_names_say(tmp_path):
    write_tar(tmp_path / "00000.tar", oddities(), tarfile.PAX_FORMAT)
    for name in ("00001", "00002"):  # the same keys in two shards
        write_tar(tmp_path / f"{name}.tar", pairs(2, prefix="k_same"))
    gnu = write_tar(tmp_path / "v7.tar", pairs(3, prefix="k_gnu"), tarfile.GNU_FORMAT)
    gnu.write_bytes(gnu.read_bytes() + b"garbage behind the end" * 10)
    (tmp_path / "empty.tar").write_bytes(bytes(10240))
    os.symlink(tmp_path / "00001.tar", tmp_path / "link.tar")
    for name, text in [
        ("00000_stats.json", "{}"),
        ("00000.parquet", "x"),
        ("3.tar.incomplete", "x"),
        ("._1.tar", "x"),
    ]:
        (tmp_path / name).write_text(text)
    write_tar(tmp_path / "a b%20#ü中.tar", pairs(2, prefix="k_name"))
    units = find_units(str(tmp_path))
    assert [unit.name for unit in units] == ["00000", "00001", "00002", "a b%20#ü中", "empty", "link", "v7"]
    config = CurateConfig(min_side=64)
    seen = {"k": [], "d": [], "q": []}
    for unit in units:
        found = scanned(unit, config)
        decision = judged(found, config)
        seen["k"] += kept_keys(found, decision)
        seen["d"] += [key for key, _ in rejected(found, decision, config)]
        seen["q"] += [row["key"] for row in bad_of(found)]
        assert decision.funnel.quarantined == len(bad_of(found))
    assert all(key.startswith(letter) for letter, keys in seen.items() for key in keys)
    assert {letter: len(keys) for letter, keys in seen.items()} == {"k": 17 + 2 * 3 + 3 + 2, "d": 3, "q": 7}
