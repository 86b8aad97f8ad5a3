"""Results as JSON, and as rows."""

import json
from pathlib import Path

from cluster.cli.results import print_json, print_result


def test_json_holds_what_it_has_no_form_for_as_text(capsys):
    print_json({"a": 1.5, "folder": Path("x/y")})
    assert json.loads(capsys.readouterr().out) == {"a": 1.5, "folder": "x/y"}


def test_a_result_is_one_json_line_or_rows_of_dotted_names(capsys):
    values = {"scores": {"R@1": 0.123456, "images": 8}, "report": "out.html"}
    print_result(values, as_json=True)
    assert json.loads(capsys.readouterr().out) == values
    print_result(values, as_json=False)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["scores.R@1", "0.1235"], ["scores.images", "8"], ["report", "out.html"]]
