"""A list, an index or a model that cannot be used ends the command with exit code 2, before Ray and the first shard."""

import sys

import pytest
from raw_shards import pairs, write_tar

from cluster import cli

RULES = {
    "deny_list": "{kind: deny_list, of: md5, files: [FILE]}",
    "balance": "{kind: balance, entries: FILE, t: 5}",
    "boilerplate": "{kind: boilerplate, file: FILE}",
    "language": "{kind: language, allow: [en], model: FILE}",
    "leaks": "{kind: leaks, index: [FILE]}",
    "safety": "{kind: safety, model: FILE, label: nsfw, max_score: 0.5}",
    "dual_encoder": "{kind: dual_encoder, model: FILE, min_score: 0.2}",
}
DAMAGES = {"absent": None, "empty": b"", "blank": b"\n \n", "noise": bytes(range(256)) * 4}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("rule", RULES)
def test_exit_2_in_one_line_and_nothing_is_written(tmp_path, monkeypatch, capsys, no_ray, rule, damage):
    write_tar(tmp_path / "in" / "0.tar", pairs(2))
    file = tmp_path / "given"
    if DAMAGES[damage] is not None:
        file.write_bytes(DAMAGES[damage])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"min_side: 64\nrules:\n  one: {RULES[rule].replace('FILE', str(file))}\n")
    words = [
        "loupe",
        "curate",
        str(recipe),
        "--input",
        str(tmp_path / "in"),
        "--output",
        str(tmp_path / "out"),
    ]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "given" in line
    assert not list((tmp_path / "out").rglob("*.parquet"))
    assert not list((tmp_path / "out").rglob("*.tar"))
