import pytest
import torch

from data_filters.errors import InputError
from pretrain.evaluation.encoder import ExportedEncoder
from pretrain.evaluation.prompts import TEMPLATES, choose_templates, class_embeddings, prompt


@pytest.mark.parametrize(
    ("template", "name", "expected"),
    [
        ("a {}", "dog", "a dog"),
        ("a {}", "umbrella", "an umbrella"),
        ("A {} in a photo", "apple", "An apple in a photo"),
        ("the {}", "apple", "the apple"),
        ("a red {}", "apple", "a red apple"),
        ("{}", "eye", "eye"),
        ("a photo of an extra {}", "umbrella", "a photo of an extra umbrella"),
        ("a photo of an extra {}", "dog", "a photo of an extra dog"),
        ("una foto de una {}", "oreja", "una foto de una oreja"),
        ("an {} or a cup", "dog", "a dog or a cup"),
        ("a {}, not the banana", "apple", "an apple, not the banana"),
        ("a {}", "Umbrella", "an Umbrella"),
    ],
)
def test_a_name_stands_in_its_sentence(template, name, expected):
    assert prompt(template, name) == expected


ARTICLES = {
    "a": "dog university unicorn uniform unit European ewe one-way_street once-over user utensil ukulele UFO urinal "
    "home",
    "an": "apple hour hourglass heirloom honest_man umbrella uncle undershirt unidentified_object uninhabited_house "
    "onion oven eagle igloo urn usher otter",
}


@pytest.mark.parametrize("article", ARTICLES)
def test_the_article_is_that_of_the_name(article):
    for name in ARTICLES[article].split():
        assert prompt("a {}", name) == f"{article} {name}"
        assert prompt("An {}", name) == f"{article.capitalize()} {name}"


def test_a_class_is_the_mean_of_its_prompts(export):
    encoder = ExportedEncoder(export)
    names = ["dog", "umbrella", "red car"]
    found = class_embeddings(encoder, names, ["a {}", "one {} here"])
    for row, (name, article) in enumerate(zip(names, ["a", "an", "a"], strict=True)):
        one, two = (encoder.embed_texts([text])[0] for text in (f"{article} {name}", f"one {name} here"))
        mean = (one + two) / 2
        torch.testing.assert_close(found[row], mean / mean.norm(), atol=1e-6, rtol=0)


def test_templates_by_name_or_as_they_are():
    assert choose_templates("photo") == TEMPLATES["photo"]
    assert choose_templates("my {}") == ("my {}",)
    for bad in ("nothing", ["{} and {}"], []):
        with pytest.raises(InputError, match="allowed are"):
            choose_templates(bad)
