"""The order of a recipe's rules, the groups that they need, and what is refused."""

import pyarrow as pa
import pytest
from curation_rules import FewLetters, Letters, SameCaption

from data_filters.errors import InputError
from pipelines.common.config import config_hash
from pipelines.curate import plan as plan_module
from pipelines.curate.config import CurateConfig
from pipelines.curate.plan import make_plan
from pipelines.curate.scores.filter_scores import FilterScores

DEFAULTS = ["small_image", "extreme_aspect", "few_words", "many_words"]
RULES = {"same": SameCaption(), "e": FewLetters()}


def names(config: CurateConfig) -> list[str]:
    return [step.name for step in make_plan(config).steps]


def test_filters_then_rules_of_a_pair_then_rules_over_the_corpus():
    plan = make_plan(CurateConfig(rules=RULES))
    assert [step.name for step in plan.steps] == [*DEFAULTS, "e", "same"]
    assert [step.name for step in plan.pair_steps] == [*DEFAULTS, "e"]
    assert [step.name for step in plan.corpus_steps] == ["same"]


def test_filters_fixes_the_order_within_both_kinds():
    config = CurateConfig(filters=["same", "e", "few_words", "also"], rules={**RULES, "also": SameCaption()})
    assert names(config) == ["e", "few_words", "same", "also"]
    assert names(CurateConfig(filters=["few_words"], rules=RULES)) == ["few_words"]


def test_a_limit_of_null_does_not_judge():
    assert names(CurateConfig(min_side=None)) == DEFAULTS[1:]
    assert names(CurateConfig(min_side=None, filters=["small_image", "few_words"])) == ["few_words"]
    assert names(CurateConfig(min_pixels=5)) == [*DEFAULTS, "few_pixels"]
    off = dict.fromkeys(("min_side", "max_aspect", "min_words", "max_words"))
    plan = make_plan(CurateConfig(**off))
    assert (plan.steps, plan.groups) == ((), ())


def test_the_order_of_rules_changes_the_hash():
    one, other = (CurateConfig(rules=rules) for rules in (RULES, dict(reversed(RULES.items()))))
    assert config_hash(one) != config_hash(other)
    assert one.filters[-2:] == ("same", "e")


def test_limits_words_and_values_of_a_filter():
    step = make_plan(CurateConfig(filters=["small_image"], min_side=64)).steps[0]
    table = pa.table({"shorter_side": [63.0, 64.0, 65.0, float("nan")]})
    assert step.rule.fails(table).tolist() == [True, True, False, True]
    assert (step.rule.words(), step.rule.limit()) == ("keeps: shorter side above 64 px", "64")
    assert step.rule.values(table)[:2] == [63.0, 64.0]


def test_the_groups_are_those_that_the_rules_read_whatever_the_order():
    plan = make_plan(CurateConfig(rules=RULES))
    assert plan.groups == (FilterScores(("shorter_side", "aspect_ratio", "words")), Letters("e"))
    turned = make_plan(CurateConfig(filters=["e", "many_words", "few_words", "small_image"], rules=RULES))
    assert turned.groups[0] == FilterScores(("shorter_side", "words"))


def test_two_rules_may_share_a_group_and_not_differ_about_it():
    both = {"one": FewLetters(least=1), "two": FewLetters(least=2)}
    assert len(make_plan(CurateConfig(rules=both)).groups) == 2
    with pytest.raises(
        InputError, match=r"rules\.two needs the scores letters with .*'a'.* another rule with .*'e'"
    ):
        make_plan(CurateConfig(rules={"one": FewLetters(), "two": FewLetters(letter="a")}))


def test_two_groups_with_a_column_of_one_name_are_refused(monkeypatch):
    class Other(FewLetters):
        def groups(self):
            return (Letters(self.letter, name="other"),)

    with pytest.raises(InputError, match="two groups of scores have a column letters"):
        make_plan(CurateConfig(rules={"one": FewLetters(), "two": Other()}))


def test_what_a_rule_finds_wrong_with_itself_is_said_before_the_first_shard():
    class Wrong(SameCaption):
        def check(self):
            raise InputError("no list")

    with pytest.raises(InputError, match="no list"):
        make_plan(CurateConfig(rules={"wrong": Wrong()}))


def test_more_rules_than_bits_are_refused(monkeypatch):
    monkeypatch.setattr(plan_module, "MOST_RULES", 3)
    with pytest.raises(InputError, match="has 4 rules; at most 3"):
        make_plan(CurateConfig())
