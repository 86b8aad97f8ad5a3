"""Filters of the caption."""

from __future__ import annotations

import re
import string
import unicodedata

from data_filters.filter import Facts, Filter, Limit

# Control and format characters (zero-width, direction marks, soft hyphens), surrogates, private use, white space, and
# marks that need a letter to stand on. Unassigned ones (Cn) count as visible: new emoji are unassigned to old tables.
_INVISIBLE = frozenset(["Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp", "Mn", "Me"])
# Letters and symbols by category that are drawn as nothing: Hangul fillers, the empty Braille cell.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")

_ASCII_LETTERS = string.ascii_letters.encode()
_ASCII_INVISIBLE = bytes([*range(33), 127])
_ASCII_PUNCTUATION = string.punctuation.encode()
# With the quotation marks, dashes and stops of other scripts that web captions hold.
_NO_PUNCTUATION = str.maketrans(
    "", "", string.punctuation + "\u2018\u2019\u201c\u201d\u2026\u2013\u2014\u00ab\u00bb\u3001\u3002\uff0c"
)
_URL = re.compile(
    r"(?:https?|ftp)://\S+|www\.[^\s.]+\.\S+|"
    # A bare host. Looked for from its point on, since few characters are one.
    r"(?<=[a-z0-9])\.(?:com|net|org|info|biz|edu|gov|co\.[a-z]{2})(?![a-z0-9-])(?:/\S*)?",
    re.ASCII | re.IGNORECASE,
)
_EXTENSIONS = r"\.(?:jpe?g|png|gif|webp|bmp|tiff?|avif|heic|svg)(?![a-z0-9])"
_PICTURE_FILE = re.compile(rf"(?<=[^\s.]){_EXTENSIONS}", re.ASCII | re.IGNORECASE)
_CAMERA_FILE = re.compile(
    r"(?<![a-z0-9])(?:IMG|IMGP|DSC|DSCN|DSCF|DCIM|PXL|MVI|VID|SAM|GOPR|DJI|CIMG|PICT)[_ -]?\d{3,}"
    rf"(?!\S{{0,100}}{_EXTENSIONS})",
    re.ASCII | re.IGNORECASE,
)
_THREE_DIGITS = re.compile(r"\d\d\d", re.ASCII)


def word_count(caption: str) -> float:
    """Count words: runs of characters between white space in which something is visible; an empty caption has none."""
    words = caption.split()
    if caption.isascii() and caption.isprintable():  # the usual caption: nothing in it is invisible
        return float(len(words))
    return float(sum(map(_is_visible, words)))


def _is_visible(word: str) -> bool:
    if word[0].isalnum() and word[0] not in _BLANK:
        return True
    return any(unicodedata.category(letter) not in _INVISIBLE and letter not in _BLANK for letter in word)


def _words(facts: Facts) -> float:
    return word_count(facts.caption)


FEW_WORDS = Filter(
    score="words",
    measure=_words,
    at_least=Limit(
        key="min_words",
        default=3,
        minimum=0,
        unit="words",
        description="words of the caption; a pair is dropped when below this",
    ),
)

MANY_WORDS = Filter(
    score="words",
    measure=_words,
    at_most=Limit(
        key="max_words",
        default=100,
        minimum=1,
        unit="words",
        description="words of the caption; a pair is dropped when above this",
    ),
)


def character_count(caption: str) -> float:
    """Count characters: code points, white space among them, as Python's `len` and DataComp's baseline do."""
    return float(len(caption))


FEW_CHARACTERS = Filter(
    score="characters",
    measure=lambda facts: character_count(facts.caption),
    at_least=Limit(
        key="min_characters",
        default=None,
        number=int,
        minimum=0,
        unit="characters",
        description="characters of the caption, white space among them; a pair is dropped when below this (LAION-400M: "
        "5; COYO-700M and DataComp: 6); null: not judged",
    ),
)

MANY_CHARACTERS = Filter(
    score="characters",
    measure=lambda facts: character_count(facts.caption),
    at_most=Limit(
        key="max_characters",
        default=None,
        number=int,
        minimum=1,
        unit="characters",
        description="characters of the caption, white space among them; a pair is dropped when above this (COYO-700M: "
        "1000); null: not judged",
    ),
)


def letter_share(caption: str) -> float:
    """Divide the letters, with the marks that belong to them, by all visible characters; 0 to 1, 0 where none is.

    Letters are of any script (Unicode categories L and M); digits, punctuation and symbols are visible and no letters.
    """
    if caption.isascii():
        data = caption.encode("ascii")
        visible = data.translate(None, _ASCII_INVISIBLE)
        return 1 - len(visible.translate(None, _ASCII_LETTERS)) / len(visible) if visible else 0.0
    letters = seen = 0
    for letter in caption:
        category = unicodedata.category(letter)
        if category[0] in "LM" and letter not in _BLANK:
            letters += 1
            seen += 1
        elif category not in _INVISIBLE and letter not in _BLANK:
            seen += 1
    return letters / seen if seen else 0.0


LOW_LETTER_SHARE = Filter(
    score="letter_share",
    measure=lambda facts: letter_share(facts.caption),
    at_least=Limit(
        key="min_letter_share",
        default=None,
        number=float,
        minimum=0,
        maximum=1,
        quantity="letters",
        unit="of the visible characters",
        description="letters over visible characters, 0 to 1; a pair is dropped when below this; null: not judged",
    ),
)


def repetition(caption: str) -> float:
    """Divide the words that were there before by all words; 0 to below 1, 0 without a word.

    Words are compared without case and punctuation; those of punctuation alone are none. CC12M
    (Changpinyo et al. 2021, section 2.1) keeps a "fraction of word repetition" up to 0.2 and gives no formula; this is
    the share of words that a caption would lose if each were said once.
    """
    lowered = caption.lower()
    words: list[bytes] | list[str]
    if lowered.isascii():
        words = lowered.encode("ascii").translate(None, _ASCII_PUNCTUATION).split()
    else:
        words = lowered.translate(_NO_PUNCTUATION).split()
    return 1 - len(set(words)) / len(words) if words else 0.0


REPETITION = Filter(
    score="repetition",
    measure=lambda facts: repetition(facts.caption),
    at_most=Limit(
        key="max_repetition",
        default=None,
        number=float,
        minimum=0,
        maximum=1,
        quantity="repeated words",
        unit="of all words",
        description="words of the caption that were there before over all its words, 0 to 1; a pair is dropped when "
        "above this (CC12M: 0.2); null: not judged",
    ),
)


def url_count(caption: str) -> float:
    """Count web addresses: with a scheme, with `www.`, or a bare host under one of the commonest top-level domains."""
    if "." not in caption[:-1]:  # every address has a point before its end
        return 0.0
    return float(len(_URL.findall(caption)))


URLS = Filter(
    score="urls",
    measure=lambda facts: url_count(facts.caption),
    at_most=Limit(
        key="max_urls",
        default=None,
        number=int,
        minimum=0,
        unit="web addresses",
        description="web addresses in the caption; a pair is dropped when above this; null: not judged",
    ),
)


def file_name_count(caption: str) -> float:
    """Count names of picture files: with an extension (`red-car.jpg`), or as cameras and phones give them
    (`IMG_1234`, `DSC00012`, `PXL_20240101_120000`). Those within a web address count too.
    """
    found = len(_PICTURE_FILE.findall(caption)) if "." in caption[:-1] else 0
    if _THREE_DIGITS.search(caption):
        found += len(_CAMERA_FILE.findall(caption))
    return float(found)


FILE_NAMES = Filter(
    score="file_names",
    measure=lambda facts: file_name_count(facts.caption),
    at_most=Limit(
        key="max_file_names",
        default=None,
        number=int,
        minimum=0,
        unit="file names",
        description="names of picture files in the caption; a pair is dropped when above this; null: not judged",
    ),
)
