import re

from pretrain.report.retrieval_examples import render_retrieval


def test_right_answers_are_framed_and_missed_ones_are_added(tmp_path):
    (tmp_path / "7.jpg").write_bytes(b"seven")
    hits = [{"image": 7, "score": 0.5}, {"image": 2, "score": 0.25}]
    page = render_retrieval(
        {
            "text_to_image": [
                {"caption": "hit <a>", "image": 2, "found": hits},
                {"caption": "missed", "image": 9, "found": hits},
            ]
        },
        tmp_path,
    )
    assert "hit &lt;a&gt;" in page
    captions = re.findall(r'<figure(?: class="(\w+)")?>.*?<figcaption>(.*?)</figcaption>', page)
    assert captions == [
        ("", "1. 0.50"),
        ("right", "2. ✓ right 0.25"),
        ("", "1. 0.50"),
        ("", "2. 0.25"),
        ("missed", "✗ right, not among 2"),
    ]
    assert page.count("data:image/jpeg;base64,c2V2ZW4=") == 2  # b"seven" in base64
    assert page.count("no picture") == 3
    assert "From an image to captions" not in page


def test_captions_of_an_image_are_marked_where_they_are_right(tmp_path):
    found = [{"caption": "a", "right": False, "score": 0.75}, {"caption": "b", "right": True, "score": 0.5}]
    missed = [{"caption": "c", "right": False, "score": 0.25}]
    entries = [
        {"image": 0, "captions": ["b"], "found": found},
        {"image": 1, "captions": ["d <&>"], "found": missed},
    ]
    page = render_retrieval({"image_to_text": entries}, tmp_path)
    lines = re.findall(r"<li.*?</li>", page)
    assert lines == [
        "<li>a <small>0.75</small></li>",
        '<li class="right"><b>✓ b</b> <small>0.50</small></li>',
        "<li>c <small>0.25</small></li>",
    ]
    assert page.count("not among them") == 1
    assert "not among them: d &lt;&amp;&gt;" in page


def test_no_queries_are_nothing(tmp_path):
    assert render_retrieval({}, tmp_path) == ""
    assert render_retrieval({"text_to_image": [], "image_to_text": []}, tmp_path) == ""
