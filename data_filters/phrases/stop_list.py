"""Reads the list of phrases without content: one per line, `#` opens a comment, written without determiners."""

from functools import lru_cache
from pathlib import Path

from data_filters.errors import InputError

SHIPPED = Path(__file__).parent / "assets" / "stop_phrases.txt"


@lru_cache(maxsize=8)
def load_stop_list(path: str | None = None) -> frozenset[str]:
    """Read a stop list as a set of lower-cased, single-spaced phrases; None: the shipped one. Raises InputError."""
    file = SHIPPED if path is None else Path(path)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"phrases.stop_list is {path!r}, which cannot be read ({type(error).__name__}); "
            "expected a UTF-8 text file, one phrase per line; set phrases.stop_list"
        ) from error
    phrases = (" ".join(line.split("#", 1)[0].lower().split()) for line in lines)
    return frozenset(phrase for phrase in phrases if phrase)
