"""The word "a" before a class name that needs "an" is changed; letters that look like it are not."""

import pytest

from pretrain.evaluation.prompts import TEMPLATES, prompt


@pytest.mark.parametrize(
    ("template", "name", "expected"),
    [
        ("a photo of a {}", "umbrella", "a photo of an umbrella"),
        ("a photo of an extra {}", "umbrella", "a photo of an extra umbrella"),
        ("una foto de una {}", "oreja", "una foto de una oreja"),
        ("A {}", "apple", "An apple"),
        ("a photo of a {}", "university", "a photo of a university"),
        ("a photo of a {}", "hourglass", "a photo of an hourglass"),
    ],
)
def test_only_the_word_before_the_name_changes(template, name, expected):
    assert prompt(template, name) == expected


@pytest.mark.parametrize("templates", TEMPLATES.values())
def test_shipped_templates_are_english_with_either_kind_of_name(templates):
    for template in templates:
        assert " a umbrella" not in f" {prompt(template, 'umbrella')}"
        assert " an dog" not in f" {prompt(template, 'dog')}"
