"""Languages of sentences that their writer knew, and what cannot be told."""

import math

import pytest

from data_filters import language
from data_filters.errors import InputError
from data_filters.language import METHODS, load_identifier, model_path

SENTENCES = {
    "en": "A woman walks her dog through the park on a sunny day",
    "de": "Eine Frau geht an einem sonnigen Tag mit ihrem Hund durch den Park",
    "pl": "Kobieta spaceruje z psem po parku w słoneczny dzień",
    "fr": "Une femme promène son chien dans le parc par une journée ensoleillée",
    "ru": "Женщина гуляет с собакой в парке в солнечный день",
}


@pytest.mark.parametrize("method", METHODS)
def test_sentences_are_told_whatever_their_letters_and_lines(method):
    identify = load_identifier(method)
    texts = list(SENTENCES.values())
    for change in (str, str.upper, lambda text: text.replace(" ", "\n")):
        codes, shares = identify([change(text) for text in texts])
        assert codes == list(SENTENCES)
        assert all(0.2 < share <= 1 for share in shares)
    assert identify(texts)[1] == [identify([text])[1][0] for text in texts]
    assert set(SENTENCES) <= identify.languages()


@pytest.mark.parametrize("method", METHODS)
def test_captions_without_text_have_no_language(method):
    codes, shares = load_identifier(method)(["", " \n\t"])
    assert codes == [None, None]
    assert all(map(math.isnan, shares))
    codes, shares = load_identifier(method)(["\0", "12345 !!!", "x" * 1_000_000, "\U0001f600"])
    assert all(0 <= share <= 1 for share in shares)


def test_the_probability_is_that_of_fasttext_itself():
    import fasttext

    model = fasttext.load_model(model_path("fasttext"))
    codes, shares = load_identifier("fasttext")(["Ein HUND\nim Park"])
    (label,), (share,) = model.predict("ein hund im park")
    assert (f"__label__{codes[0]}", shares[0]) == (label, share)


def test_numbers_alone_stay_below_the_default_limit():
    codes, shares = load_identifier("fasttext")(["12345"])
    assert (codes, shares[0] < 0.2) == (["en"], True)  # what the model answers without a feature


@pytest.mark.parametrize("method", METHODS)
def test_a_model_that_cannot_be_read_is_refused_in_one_line(method, tmp_path):
    with pytest.raises(InputError, match="where there is no file") as missing:
        load_identifier(method, str(tmp_path / "none.ftz"))
    (tmp_path / "bad.ftz").write_bytes(b"no model at all")
    with pytest.raises(InputError, match="cannot read") as broken:
        load_identifier(method, str(tmp_path / "bad.ftz"))
    assert "\n" not in f"{missing.value}{broken.value}"


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    language._shipped_model.cache_clear()
    with pytest.raises(
        InputError,
        match=r'needs the package py3langid, which is not installed; pip install "loupe\[langid\]"',
    ):
        load_identifier("py3langid")
    with pytest.raises(InputError, match="method is 'cld3'; allowed are fasttext, py3langid"):
        load_identifier("cld3")
