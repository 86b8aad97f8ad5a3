"""The options of a phrase extractor, the same for every parser."""

from dataclasses import dataclass

from data_filters.errors import InputError

LEVELS = ("maximal", "base")


@dataclass(frozen=True)
class PhraseOptions:
    """Which noun phrases of a caption are its phrases.

    level: `base`: heads with what precedes them ("a girl", "a blue coat"). `maximal`: the outermost noun phrases that
        fit into `max_tokens` ("a girl in a blue coat") and, beside them, their base parts.
    keep_determiners: whether "a", "the", "this", "some" ... stay at the front of a phrase.
    max_phrases: at most this many phrases per caption, the first ones; None for all. The default is the largest
        number of players for which the semantic interactions are computed exactly.
    max_tokens: the longest phrase, in tokens of the parser (words and punctuation marks).
    max_characters: how many characters of a caption are read; a phrase that reaches the cut is dropped. Training reads
        about 60 tokens, so parsing a page of text in a caption field would be wasted time.
    stop_list: path of a list of contentless phrases (its format: `stop_list.py`); None for the shipped one.
    batch_size: captions parsed together.
    """

    level: str = "maximal"
    keep_determiners: bool = True
    max_phrases: int | None = 12
    max_tokens: int = 12
    max_characters: int = 4000
    stop_list: str | None = None
    batch_size: int = 128

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            allowed = " and ".join(LEVELS)
            raise InputError(f"phrases.level is {self.level!r}; allowed are {allowed}; set phrases.level")
        for name in ("max_phrases", "max_tokens", "max_characters", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"phrases.{name} is {value}; allowed is 1 or more; set phrases.{name}")
