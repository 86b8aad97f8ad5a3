"""Examples of an evaluation: which samples are shown, and the files `examples.json` and `examples/NUMBER.jpg`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from PIL import Image

from pipelines.common.files import read_json, write_json

EXAMPLES = "examples.json"
PICTURES = "examples"

Item = TypeVar("Item")
DrawnExample = tuple[dict[str, Any], Image.Image]
"""An entry of `examples.json`, with the number of its sample under `image`, and its picture."""


class EvenlySpaced(Generic[Item]):
    """Keeps between `count` and 2 × `count` items of a stream of unknown length, evenly spaced from the first."""

    def __init__(self, count: int) -> None:
        self.count, self.every, self.seen = count, 1, 0
        self.items: list[Item] = []

    def take_next(self) -> bool:
        """Count the next item as seen; return whether it is to be handed to `keep`."""
        due = self.count > 0 and self.seen % self.every == 0
        self.seen += 1
        return due

    def keep(self, item: Item) -> None:
        """Take the item that `take_next` asked for."""
        self.items.append(item)
        if len(self.items) == 2 * self.count:
            del self.items[1::2]
            self.every *= 2

    def chosen(self) -> list[Item]:
        """The `count` (or fewer) items, evenly spaced among those kept."""
        return [self.items[place] for place in evenly_spaced(len(self.items), self.count)]


def evenly_spaced(total: int, count: int) -> list[int]:
    """At most `count` places evenly spaced over 0..`total` - 1, from 0 on."""
    count = min(count, total)
    return [total * number // count for number in range(count)]


def write_drawn(output: str, name: str, examples: Sequence[DrawnExample]) -> None:
    """Write `examples.json` ({name: entries}) and for each entry its picture `examples/IMAGE.jpg`."""
    folder = Path(output) / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for entry, picture in examples:
        picture.save(folder / f"{entry['image']}.jpg", quality=88)
    write_json(Path(output) / EXAMPLES, {name: [entry for entry, _ in examples]}, indent=2)


def read_examples(output: str) -> dict[str, Any] | None:
    """The examples that an evaluation wrote into its output folder, or None."""
    examples: dict[str, Any] | None = read_json(Path(output) / EXAMPLES)
    return examples
