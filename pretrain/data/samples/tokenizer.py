"""Loads a tokenizer by name: the shipped vocabulary, a local folder or file, or a name on the hub."""

from pathlib import Path

from transformers import AutoTokenizer, BertTokenizer, PreTrainedTokenizerFast

from data_filters.errors import InputError

SHIPPED = "loupe"
SHIPPED_VOCABULARY = Path(__file__).parents[2] / "assets" / "vocabulary" / "vocab.txt"


FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)


def has_tokenizer(name: str) -> bool:
    """False for a local folder without a tokenizer's files: there `AutoTokenizer` makes an empty one of some kinds."""
    return not Path(name).is_dir() or any((Path(name) / file).is_file() for file in FILES)


def load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """Load a fast tokenizer (`return_offsets_mapping` works) that pads with [PAD] and adds [CLS] and [SEP].

    Args:
        name: "loupe" for the shipped lower-cased WordPiece vocabulary of 8,000 pieces, needing no network;
            else whatever `AutoTokenizer` opens: a folder, or a hub name ("bert-base-uncased").

    Raises:
        InputError: when nothing of that name can be loaded, or when it has no offsets or no padding.
    """
    if name == SHIPPED:
        return _from_vocabulary(SHIPPED_VOCABULARY)
    if not has_tokenizer(name):
        raise InputError(
            f"tokenizer is {name!r}, a folder without a tokenizer's files ({', '.join(FILES[:3])}, ...); allowed are "
            f"{SHIPPED!r}, a folder with such files, or a hub name; set tokenizer={SHIPPED}"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except Exception as error:  # the hub, the file system and the parsers raise unrelated types
        reason = next(
            (line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__
        )
        raise InputError(
            f"tokenizer is {name!r}, which cannot be loaded ({reason}); allowed are {SHIPPED!r}, a folder "
            f"with tokenizer files, or a hub name that is cached or reachable; set tokenizer={SHIPPED}"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        lacking = "character offsets (it is no fast tokenizer)"
    elif tokenizer.pad_token_id is None:
        lacking = "a padding token"
    else:
        return tokenizer
    raise InputError(
        f"tokenizer is {name!r}, which lacks {lacking}; "
        f"phrases and batches need both; set tokenizer={SHIPPED} or a BERT-like one"
    )


def _from_vocabulary(path: Path) -> PreTrainedTokenizerFast:
    pieces = path.read_text(encoding="utf-8").splitlines()
    return BertTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, do_lower_case=True, model_max_length=512
    )
