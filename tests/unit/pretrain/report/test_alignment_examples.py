import re

from pretrain.report.alignment_examples import MAPS, render_alignment


def test_the_greatest_of_each_row_stands_out_and_shades_are_shares_of_the_greatest(tmp_path):
    entry = {
        "image": 1,
        "phrases": ["a", "b"],
        "regions": [{"confidence": 0.875}],
        "matrix": [[0.25, 0.75], [2.0, 0.0]],
        "semantic_interactions": [[-0.5, 0.25], [0.0, 0.125]],
    }
    page = render_alignment({"alignment": [entry]}, tmp_path)
    cells = re.findall(r'<td style="--part:(.*?)">(.*?)</td>', page)
    assert cells == [
        ("0.125", "0.25"),  # the greatest value is 2
        ("0.375", "<b>0.75</b>"),
        ("1.000", "<b>2.00</b>"),
        ("0.000", "0.00"),
        ("0.000", "-0.500"),  # the greatest size is 0.5, and what is negative has no shade
        ("0.500", "<b>+0.250</b>"),
        ("0.000", "+0.000"),
        ("0.250", "<b>+0.125</b>"),
    ]
    # The second region has no confidence.
    assert re.findall(r"<tr><th>(\d.*?)</th>", page) == ["1 <small>0.88</small>", "2"] * 2
    assert page.count("<details>") == 1


def test_maps_stand_by_kind_and_stay_in_their_folder(tmp_path):
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    maps = [
        {"text": "one", "kind": "attribution", "picture": "examples/a.jpg"},
        {"text": "two", "kind": "new <kind>", "picture": "../secret.jpg"},
        {"text": "three", "kind": "attribution", "picture": "examples/a.jpg"},
    ]
    page = render_alignment({"alignment": [{"image": 0, "maps": maps}]}, folder)
    headings = re.findall("<h4>(.*?)</h4>", page)
    assert headings == [MAPS["attribution"], "new &lt;kind&gt;"]
    assert re.findall("<figcaption>(.*?)</figcaption>", page) == ["one", "three", "two"]
    assert page.count("base64,YQ==") == 2
    assert page.count("no picture") == 1


def test_an_entry_without_any_part_is_left_out(tmp_path):
    assert render_alignment({"alignment": [{"image": 3}, {}]}, tmp_path) == ""
    assert render_alignment({}, tmp_path) == ""
    shown = render_alignment({"alignment": [{"image": 3}, {"image": 4, "caption": "a <cup>"}]}, tmp_path)
    assert shown.count('class="query"') == 1
    assert "a &lt;cup&gt;" in shown
