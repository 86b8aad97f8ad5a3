"""What `loupe recipes` prints, against the files that ship and what the recipes load as."""

import json

import pytest
import yaml

from cluster.recipe_kinds import KINDS
from cluster.shipped import ABLATIONS, CURATION, PRETRAINING

SHIPPED = [(kind, name) for kind, about in KINDS.items() for name in about.names()]


def test_list_names_every_file_that_ships(loupe):
    code, out, _ = loupe("recipes", "list", "--json")
    listed = json.loads(out)
    assert code == 0
    for kind, folder in (("curation", CURATION), ("pretraining", PRETRAINING), ("ablation", ABLATIONS)):
        assert set(listed[kind]) == {file.stem for file in folder.glob("*.yaml")}
    assert listed["curation"]["loupe_paper"].startswith(
        "The pretraining data of the LOUPE paper (NeurIPS 2022, appendix A)."
    )


def test_list_for_people_has_a_line_for_each(loupe):
    lines = loupe("recipes", "list")[1].splitlines()
    for kind, name in SHIPPED:
        heading = next(place for place, line in enumerate(lines) if line.startswith(f"{kind} ("))
        assert any(line.split()[:1] == [name] for line in lines[heading:])


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_what_show_prints_is_a_recipe_that_loads_as_the_same(loupe, tmp_path, kind, name):
    code, out, _ = loupe("recipes", "show", name, "--kind", kind)
    assert code == 0
    file = tmp_path / "shown.yaml"
    file.write_text(out)
    assert KINDS[kind].load(str(file), None) == KINDS[kind].load(name, None)


def test_show_holds_defaults_that_the_file_does_not_mention(loupe):
    file = yaml.safe_load((PRETRAINING / "clip_vit_b32.yaml").read_text())
    shown = yaml.safe_load(loupe("recipes", "show", "clip_vit_b32")[1])
    assert "prefetch" not in file.get("data", {})
    assert shown["data"]["prefetch"] == 4
    assert json.loads(loupe("recipes", "show", "clip_vit_b32", "--json")[1]) == shown


def test_show_takes_overrides(loupe):
    shown = yaml.safe_load(loupe("recipes", "show", "clip_vit_b32", "--set", "data.prefetch=9")[1])
    assert shown["data"]["prefetch"] == 9


def test_plain_is_the_file(loupe):
    out = loupe("recipes", "show", "icon_world", "--kind", "ablation", "--plain")[1]
    assert out == (ABLATIONS / "icon_world.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", "icon_world"), "--kind curation or --kind pretraining or --kind ablation"),
        (("show", "icon_wrld"), "did you mean icon_world?"),
        (("show", "icon_world", "--kind", "curate"), "kind is 'curate'; allowed are curation, pretraining"),
        (("options", "optimizer.learning_rat"), "did you mean optimizer.learning_rate?"),
        (("options", "calibratoin_"), "unknown key calibratoin_"),
    ],
)
def test_mistakes_are_one_line(loupe, words, says):
    code, _, errors = loupe("recipes", *words)
    assert code == 2
    assert errors.startswith("loupe: ")
    assert errors.count("\n") == 1
    assert says in errors


def test_options_narrow_to_a_key(loupe):
    out = loupe("recipes", "options", "data.decode_threads")[1]
    head, key, description, *_ = out.splitlines()
    assert head.startswith("pretraining (loupe pretrain")
    assert key == "  data.decode_threads  integer, >= 1, default 1"
    assert "decode images" in description


def test_options_as_json_hold_every_key_of_a_section(loupe):
    groups = json.loads(loupe("recipes", "options", "pretraining.workers", "--json")[1])
    assert [option["key"] for option in groups.pop("pretraining")] == [
        "workers",
        "workers.count",
        "workers.minimum",
        "workers.gpu",
        "workers.cpus_per_worker",
        "workers.max_failures",
    ]
    assert groups == {}
