"""`loupe evaluate`: mistakes are named before an export is opened."""

import pytest


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--task", "groundin"), "task is 'groundin'; allowed are"),
        (("--task", "retrieval", "--set", "scorin=cosine"), "did you mean scoring"),
        (("--task", "detection", "--set", "propsals=pixel"), "did you mean proposals"),
        (("--task", "detection", "--set", "proposals=nonsense"), "proposals is 'nonsense'; allowed are"),
        (("--task", "retrieval", "--set", "export=x"), "unknown key export"),
        (("--task", "retrieval", "--set", "gallery"), "is no assignment"),
        (("--task", "retrieval", "--set", "gallery=[1"), "no YAML"),
        (("--task", "retrieval", "--gallery", "0"), "gallery is 0"),
        (("--task", "retrieval", "--batch-size", "0"), "batch_size is 0; input should be greater"),
        (("--task", "retrieval", "--batch-size", "0"), "; give another --batch-size\n"),
        (("--task", "retrieval", "--set", "batch_size=0"), "; give --set batch_size=value\n"),
    ],
)
def test_mistakes_are_one_line(loupe, monkeypatch, tmp_path, words, says):
    monkeypatch.chdir(tmp_path)
    code, _, errors = loupe("evaluate", "nowhere", "--data", "nodata", "--output", "out", *words)
    assert (code, errors.count("\n")) == (2, 1)
    assert says in errors
