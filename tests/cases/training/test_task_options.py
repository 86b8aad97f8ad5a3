"""Options of an evaluation with a value of the wrong type: exit code 2, one line that names option and value."""

import sys

import pytest

from cluster import cli


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["retrieval", "--set", "token_share=half"], "token_share is 'half'"),
        (["alignment", "--set", "budget=many"], "budget is 'many'"),
        (
            ["retrieval", "--batch-size", "0"],
            "batch_size is 0; input should be greater than or equal to 1; give another",
        ),
        (
            ["retrieval", "--gallery", "-1"],
            "gallery is -1; input should be greater than or equal to 1; give another",
        ),
        (["detection", "--set", "level=.nan"], "level is nan"),
        (["linear-probe", "--set", "max_iterations=yes"], "max_iterations is True"),
        (["grounding", "--set", "splitt=val"], "unknown key splitt; did you mean split?"),
    ],
)
def test_a_value_of_another_type_is_one_line(words, said, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    command = ["loupe", "evaluate", "export", "--data", "raw", "--output", "out", "--json", "--task", *words]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    printed = capsys.readouterr()
    assert (stopped.value.code, printed.out) == (2, "")
    assert printed.err.count("\n") == 1
    assert said in printed.err
    assert not list(tmp_path.iterdir())
