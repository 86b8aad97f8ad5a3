import re

import pytest

from pretrain.report.box_examples import render_classification, render_detection, render_grounding


def lines(page: str) -> list[tuple[str, str, str]]:
    """(class, text, score) of every answer."""
    pattern = r'<li(?: class="(\w+)")?><span>(.*?)</span><span>(.*?)</span></li>'
    return re.findall(pattern, page)


def test_detections_are_right_or_wrong(tmp_path):
    (tmp_path / "4.jpg").write_bytes(b"four")
    found = [{"name": "cup", "score": 0.875, "right": True}, {"name": "<dog>", "score": 0.5, "right": False}]
    entry = {"image": 4, "objects": [{"name": "cup"}, {"name": "tree"}], "found": found}
    page = render_detection({"detection": [entry, {"image": 5, "objects": [], "found": []}]}, tmp_path)
    assert lines(page) == [("yes", "✓ cup", "0.88"), ("no", "✗ &lt;dog&gt;", "0.50")]
    assert re.findall(r"there: <b>(.*?)</b>", page) == ["cup, tree", "nothing"]
    assert page.count("nothing found") == 1
    assert 'alt="detections in image 4" src="data:image/jpeg;base64,Zm91cg=="' in page
    assert page.count("no picture") == 1


@pytest.mark.parametrize(
    ("iou", "verdict"),
    [
        (0.75, '<p class="verdict yes">✓ right, IoU 0.75</p>'),
        (0.5, '<p class="verdict yes">✓ right, IoU 0.50</p>'),
        (0.496, '<p class="verdict no">✗ wrong, IoU 0.49</p>'),  # not 0.50, which would be right
        (0.0, '<p class="verdict no">✗ wrong, IoU 0.00</p>'),
    ],
)
def test_a_grounding_is_right_from_half_on(iou, verdict, tmp_path):
    page = render_grounding({"grounding": [{"image": 0, "text": "the <cup>", "iou": iou}]}, tmp_path)
    assert verdict in page
    assert "<q>the &lt;cup&gt;</q>" in page


def test_a_class_is_found_or_missed(tmp_path):
    found = [{"name": "cup", "score": 0.5}, {"name": "dog", "score": 0.25}]
    entries = [{"image": 0, "class": name, "found": found} for name in ("dog", "tree")]
    page = render_classification({"classification": entries}, tmp_path)
    assert lines(page) == [
        ("", "cup", "0.50"),
        ("yes", "✓ dog", "0.25"),
        ("", "cup", "0.50"),
        ("", "dog", "0.25"),
    ]
    assert re.findall(r"it is: <b>(.*?)</b>", page) == ["dog", "tree"]
    assert re.findall(r'<p class="no">(.*?)</p>', page) == ["✗ not among the best 2"]


def test_no_examples_are_nothing(tmp_path):
    assert (
        render_detection({}, tmp_path)
        == render_grounding({}, tmp_path)
        == render_classification({}, tmp_path)
        == ""
    )
