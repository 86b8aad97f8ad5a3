"""The curation settings are closed and say their unit."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from curation_rules import FewLetters, SameCaption
from pydantic import ValidationError, create_model

import pipelines
from data_filters import FILTERS
from data_filters.errors import InputError
from data_filters.filter import Filter, Limit
from pipelines.common.config import config_hash, output_settings
from pipelines.common.explain import validate
from pipelines.curate.config import ActiveFilters, CurateConfig, limit_fields
from pipelines.curate.rules.near_captions import NearCaptions
from pipelines.phrases.config import PhrasesConfig

DEFAULTS = ("small_image", "extreme_aspect", "few_words", "many_words")


def test_mistakes_are_refused():
    for wrong in [{"min_sid": 3}, {"min_side": -1}, {"max_bad_fraction": 1.5}, {"filters": ["small_imag"]}]:
        with pytest.raises(ValidationError):
            CurateConfig(**wrong)
    with pytest.raises(ValidationError, match="min_words is 9, above max_words 8"):
        CurateConfig(min_words=9, max_words=8)
    with pytest.raises(ValidationError, match="a filter comes twice"):
        CurateConfig(filters=["few_words", "few_words"])


def test_the_order_of_rules_is_written_down_and_no_rules_are_the_default():
    assert CurateConfig(rules={}) == CurateConfig()
    rules = {"b": FewLetters(), "a": SameCaption()}
    assert CurateConfig(rules=rules).filters == (*DEFAULTS, "b", "a")
    with_limit = CurateConfig(rules=rules, min_pixels=5, min_words=None)
    assert with_limit.filters == ("small_image", "extreme_aspect", "many_words", "few_pixels", "b", "a")
    assert CurateConfig(rules=rules, filters=["a", "b"]).filters == ("a", "b")
    with pytest.raises(ValidationError, match="few_words is the name of a filter; choose another name"):
        CurateConfig(rules={"few_words": FewLetters()})


def test_options_of_rules_are_in_the_dump_and_the_hash():
    """Those of a kind in RULES, given as a mapping or made in Python, and those of a class that is not there."""
    given = CurateConfig(rules={"near": {"kind": "near_captions", "rows": 4}})
    made = CurateConfig(rules={"near": NearCaptions(kind="near_captions", rows=4)})
    assert made == given
    assert made.model_dump(mode="json")["rules"]["near"]["rows"] == 4
    assert config_hash(made) == config_hash(given)
    assert config_hash(CurateConfig(rules={"near": {"kind": "near_captions", "rows": 5}})) != config_hash(
        given
    )
    foreign = FewLetters(letter="q", least=3)
    config = CurateConfig(rules={"e": foreign})
    assert config.rules["e"] is foreign
    assert config.model_dump(mode="json")["rules"] == {
        "e": {"kind": "few_letters", "letter": "q", "least": 3}
    }
    assert output_settings(config)["rules"]["e"]["least"] == 3
    assert config_hash(config) != config_hash(CurateConfig(rules={"e": FewLetters(letter="q", least=4)}))


def test_a_mistake_in_a_rule_is_the_only_one_that_is_told():
    values = {"rules": {"wrong": {"kind": "oval"}, "right": {"kind": "formats"}}}
    with pytest.raises(
        InputError, match=r"^here: rules\.wrong\.kind is 'oval'; known are formats, .*=value$"
    ):
        validate(CurateConfig, values, "here")


def test_what_is_no_rule_is_refused():
    for wrong in [{}, {"kind": "few_letters"}, {"kind": "near_captions", "row": 4}, SameCaption, 3]:
        with pytest.raises(ValidationError):
            CurateConfig(rules={"wrong": wrong})


def test_limits_are_those_of_the_active_filters():
    assert CurateConfig().limits() == {"min_side": 200, "max_aspect": 10, "min_words": 3, "max_words": 100}
    assert CurateConfig(filters=["few_words"], min_words=5).limits() == {"min_words": 5}


def test_every_field_has_a_description():
    assert all(field.description for field in CurateConfig.model_fields.values())


def test_how_a_run_goes_is_not_in_the_hash():
    assert config_hash(CurateConfig(workers=1, examples=0)) == config_hash(CurateConfig(workers=9))
    assert config_hash(CurateConfig(min_side=64)) != config_hash(CurateConfig())


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ("icon_world", "75b04438a69ed9a4"),
        ("loupe_paper", "746a279d2403ab3b"),
        ("openstax", "75b04438a69ed9a4"),
    ],
)
def test_shipped_recipes_keep_their_hash_so_that_committed_shards_stay_valid(recipe, expected):
    text = (Path(pipelines.__file__).parent / "recipes" / f"{recipe}.yaml").read_text()
    assert config_hash(CurateConfig(**yaml.safe_load(text))) == expected


def test_the_defaults_keep_their_hash():
    assert config_hash(CurateConfig()) == "d0e65957e6e0604c"
    assert list(output_settings(CurateConfig())) == [
        "rules",
        "filters",
        *(chosen.limit.key for chosen in FILTERS.values() if chosen.limit.default is not None),
        "phrases",
        "shard_size",
        "against",
    ]


def test_limits_that_are_off_by_default_are_in_the_hash_only_where_they_judge():
    assert config_hash(CurateConfig(min_pixels=None)) == config_hash(CurateConfig())
    assert "min_pixels" not in CurateConfig().model_dump()
    assert config_hash(CurateConfig(min_pixels=5)) != config_hash(CurateConfig())
    assert output_settings(CurateConfig(min_pixels=5))["min_pixels"] == 5
    # One that is on by default is written down as null where it is switched off.
    assert output_settings(CurateConfig(min_side=None))["min_side"] is None
    assert CurateConfig(**CurateConfig(min_side=None, min_pixels=5).model_dump()).limits() == {
        "max_aspect": 10,
        "min_words": 3,
        "max_words": 100,
        "min_pixels": 5,
    }


def test_sections_inside_leave_out_what_has_no_effect():
    few, many = (CurateConfig(phrases=PhrasesConfig(workers=n, batch_size=n)) for n in (1, 9))
    assert config_hash(few) == config_hash(many)
    assert "workers" not in output_settings(few)["phrases"]


def test_every_filter_has_its_key_with_type_default_and_bounds():
    for chosen in FILTERS.values():
        field = CurateConfig.model_fields[chosen.limit.key]
        assert field.annotation == chosen.limit.number_type | None
        assert field.default == chosen.limit.default
        assert field.description == chosen.limit.description
        assert getattr(CurateConfig(**{chosen.limit.key: None}), chosen.limit.key) is None
        with pytest.raises(ValidationError, match="greater than or equal"):
            CurateConfig(**{chosen.limit.key: chosen.limit.minimum - 1})


def test_a_key_that_two_filters_define_differently_is_refused(monkeypatch):
    limit, keys = FILTERS["few_words"].limit, list(limit_fields())
    monkeypatch.setitem(FILTERS, "same", Filter("letters", lambda _: 0.0, at_least=limit))
    assert list(limit_fields()) == keys
    monkeypatch.setitem(
        FILTERS, "other", Filter("letters", lambda _: 0.0, at_least=replace(limit, default=4))
    )
    with pytest.raises(ValueError, match="filter other defines the key min_words anew"):
        limit_fields()


def test_limits_that_no_pair_can_meet_are_refused(monkeypatch):
    low = Filter("shorter_side", lambda _: 0.0, at_most=Limit("max_side", 4096, "px", "pixels"))
    monkeypatch.setitem(FILTERS, "huge_image", low)
    settings = create_model("Settings", __base__=ActiveFilters, **limit_fields())
    assert settings(filters=["huge_image"], max_side=201).limits() == {"max_side": 201}
    with pytest.raises(ValidationError, match="min_side is 200, above max_side 200; no pair could pass"):
        settings(min_side=200, max_side=200)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"leaks": {"index": ["x"]}}, "here: rules.leaks.kind is missing; set rules.leaks.kind=value"),
        ({"a": {"kind": "nosuch"}}, "here: rules.a.kind is 'nosuch'; known are "),
        (
            {"language": {"kind": "language", "allw": ["en"]}},
            "unknown key rules.language.allw; did you mean rules.language.allow?",
        ),
        (
            {"a": {"kind": "language", "allow": []}},
            "rules.a.allow is []; allowed is a list of at least 1; set",
        ),
        (
            {"a": {"kind": "language", "allow": "en"}},
            "rules.a.allow is 'en'; allowed is a list, such as [a, b]; set",
        ),
        ({"urls": {"kind": "formats"}}, "urls is the name of a filter; choose another name"),
        (["language"], "rules is ['language']; allowed are keys with values, such as {a: 1}; set"),
    ],
)
def test_a_mistake_in_a_rule_is_one_mistake_under_the_key_that_the_user_wrote(rules, said):
    with pytest.raises(InputError) as raised:
        validate(CurateConfig, {"rules": rules}, "here")
    assert said in str(raised.value)
    assert "more mistake" not in str(raised.value)
