"""`loupe report` and `loupe ablate`: mistakes are one line."""

import pytest


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("report", "nowhere"), "nowhere"),
        (("ablate", "icon_wrld", "--data", "d", "--world", "w", "--output", "o"), "did you mean icon_world?"),
        (
            ("ablate", "icon_world", "--data", "d", "--world", "w", "--output", "o", "--seeds", "a"),
            "--seeds is 'a'; give whole numbers",
        ),
    ],
)
def test_mistakes_are_one_line(loupe, monkeypatch, tmp_path, words, says):
    monkeypatch.chdir(tmp_path)
    code, _, errors = loupe(*words)
    assert (code, errors.count("\n")) == (2, 1)
    assert says in errors
    assert not list(tmp_path.iterdir())
