"""Trains the shipped WordPiece vocabulary, deterministically.

    python -m pretrain.data.vocabulary_training --treebank en_ewt-train.conllu --captions openstax/raw \\
        --output vocab.txt

The texts and their licences are listed in `assets/vocabulary/ATTRIBUTION.md`, beside the result.
The pieces are those of BERT's tokenizer (Devlin et al. 2019, section 3; Wu et al. 2016 for WordPiece).
"""

import argparse
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZE = 8000
# Every printable ASCII sign is a piece, so that no English caption has an unknown word. Other signs of the texts
# (Greek letters, currency, dashes) are pieces when the texts hold them RARE_SIGN times.
ASCII = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
RARE_SIGN = 3
# Occurrences that are added for each everyday word: above the frequency at which a word of the texts becomes a piece.
EVERYDAY_COUNT = 60
NOT_ENGLISH = "osbooks-psychologia"

EVERYDAY_WORDS = Path(__file__).parents[1] / "assets" / "vocabulary" / "everyday_words.txt"


def treebank_sentences(conllu: Path) -> Iterator[str]:
    """The `# text = ` lines of a CoNLL-U file."""
    with conllu.open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("# text = "):
                yield line.removeprefix("# text = ").rstrip("\n")


def shard_captions(folder: Path) -> Iterator[str]:
    """The English captions of every raw shard of the folder, in order of name."""
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as shard:
            for member in shard:
                file = shard.extractfile(member) if member.name.endswith(".json") else None
                if file is None:
                    continue
                record = json.load(file)
                if NOT_ENGLISH not in record.get("source", ""):
                    yield record["caption"]


def everyday_words(path: Path = EVERYDAY_WORDS) -> list[str]:
    """The words of the list, each once, in order of their first use."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(dict.fromkeys(word for line in lines if not line.startswith("#") for word in line.split()))


def train(texts: list[str], words: list[str], size: int = SIZE) -> list[str]:
    """Train a WordPiece vocabulary of `size` pieces: its pieces in order of their ids, special tokens first."""
    corpus = [*texts, *(" ".join([word] * EVERYDAY_COUNT) for word in words)]
    normalizer = normalizers.BertNormalizer(lowercase=True)
    signs: dict[str, int] = {}
    for text in corpus:
        for sign in normalizer.normalize_str(text):
            signs[sign] = signs.get(sign, 0) + 1
    used = sorted(sign for sign, count in signs.items() if count >= RARE_SIGN and not sign.isspace())
    cutter = pre_tokenizers.BertPreTokenizer()
    # The trainer numbers the signs in the order of a hash map and breaks ties by number. Every sign, at the start of a
    # word and inside one (where there is no punctuation), gets its number here, so that each run gives the same pieces.
    alphabet = sorted(set(used) | set(ASCII))
    inside = [sign for sign in alphabet if len(cutter.pre_tokenize_str(f"a{sign}")) == 1]
    numbered = [*SPECIAL_TOKENS, *alphabet, *(f"##{sign}" for sign in inside)]
    kept = {*alphabet, " "}
    corpus = ["".join(sign if sign in kept else " " for sign in normalizer.normalize_str(t)) for t in corpus]

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = cutter
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=numbered, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def main() -> None:
    """Read the texts and write the pieces, one per line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--treebank", type=Path, required=True, help="en_ewt-train.conllu")
    parser.add_argument("--captions", type=Path, required=True, help="folder of raw OpenStax shards")
    parser.add_argument("--output", type=Path, required=True, help="vocab.txt to write")
    arguments = parser.parse_args()
    texts = [*treebank_sentences(arguments.treebank), *shard_captions(arguments.captions)]
    pieces = train(texts, everyday_words())
    arguments.output.write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    print(
        f"{len(pieces)} pieces from {len(texts)} texts and {len(everyday_words())} words: {arguments.output}"
    )


if __name__ == "__main__":
    main()
