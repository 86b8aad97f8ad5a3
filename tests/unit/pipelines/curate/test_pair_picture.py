"""Caption and picture of a pair: cut, small, and empty where the pair cannot be read."""

import base64
import io

import numpy as np
from PIL import Image
from raw_shards import picture, write_tar

from pipelines.curate.inputs import find_units
from pipelines.curate.pair_picture import CAPTION_SHOWN, THUMBNAIL, caption_and_picture
from pipelines.curate.scan import scan
from pipelines.curate.scores.facts import members_at


def test_a_pair_is_shown_small_and_one_that_is_gone_not_at_all(tmp_path):
    write_tar(tmp_path / "0.tar", {"a.jpg": picture(400, 200), "a.txt": "word " * 90})
    (unit,) = find_units(str(tmp_path / "0.tar"))
    scores = scan(unit)
    about = {"witness": scores.witness.as_json()}
    (members,) = members_at(scores.facts, np.zeros(1, np.int64))
    caption, small = caption_and_picture(unit, members, about)
    assert len(caption) == CAPTION_SHOWN
    with Image.open(io.BytesIO(base64.b64decode(small))) as opened:
        assert (opened.format, opened.size) == ("JPEG", (THUMBNAIL, THUMBNAIL // 2))
    assert caption_and_picture(unit, members, {}) == ("", "")  # nobody knows of which bytes they are
    (tmp_path / "0.tar").write_bytes(b"")
    assert caption_and_picture(unit, members, about) == ("", "")
