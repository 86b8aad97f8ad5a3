"""What names a recipe: its settings, and by their sha256 the lists and models that its rules read."""

import hashlib
import json

from curation_rules import FewLetters, SameCaption

from pipelines.common.config import config_hash, output_settings
from pipelines.curate.config import CurateConfig
from pipelines.curate.identity import recipe_hash, recipe_settings
from pipelines.curate.plan import make_plan


def settings(config: CurateConfig) -> dict:
    return recipe_settings(config, make_plan(config))


def named(config: CurateConfig) -> str:
    return recipe_hash(config, make_plan(config))


def test_without_lists_and_models_it_is_the_configuration():
    config = CurateConfig(min_side=64, rules={"formats": {"kind": "formats"}})
    assert settings(config) == output_settings(config)
    assert named(config) == config_hash(config)
    assert named(CurateConfig(min_side=64, workers=7, rules=config.rules)) == named(config)


def test_lists_and_settings_of_scores_are_said_by_rule_and_group():
    config = CurateConfig(rules={"same": SameCaption(), "e": FewLetters(letter="x")})
    found = settings(config)
    assert found["lists"] == {"same": [{"path": "list.txt", "sha256": "ab", "entries": 2}]}
    assert found["scores"] == {"letters": {"letter": "x"}}
    assert {name: value for name, value in found.items() if name not in ("lists", "scores")} == (
        output_settings(config)
    )


def test_the_hash_by_hand():
    config = CurateConfig(rules={"same": SameCaption()})
    text = json.dumps(settings(config), sort_keys=True, separators=(",", ":"))
    assert named(config) == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_list_that_changes_under_its_path_is_another_recipe(tmp_path):
    file = tmp_path / "list.txt"
    rule = {"kind": "deny_list", "of": "domain", "files": [str(file)]}
    hashes, configs = [], []
    for text in ("one.example\n", "one.example\nanother.example\n", "one.example\n"):
        file.write_text(text)
        config = CurateConfig(rules={"listed": rule})
        hashes.append(named(config))
        configs.append(config_hash(config))
    assert len(set(configs)) == 1
    assert hashes[0] == hashes[2] != hashes[1]
