"""What the headers of a raw shard say: its samples, what cannot be read of them, and which samples a damage has hit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipelines.shards.damage.recovery import Damage, Entry
from pipelines.shards.reader import join
from pipelines.shards.tar_format import BLOCK, Member, Sparse

Names = frozenset[str]  # the extensions of a sample


@dataclass
class Hit:
    """A damage, and the samples that it has left incomplete: their members that are there."""

    damage: Damage
    incomplete: list[list[Member]] = field(default_factory=list)

    @property
    def keys(self) -> list[str]:
        """The keys of the incomplete samples, and of a member that is cut."""
        keys = [members[0].key for members in self.incomplete]
        return keys if self.damage.key in keys or self.damage.key is None else [*keys, self.damage.key]


@dataclass
class Contents:
    """The samples of a shard that are whole, in the order of the tar; its sparse members by key; its damages."""

    samples: list[list[Member]]
    sparse: dict[str, list[Sparse]]
    hits: list[Hit]


def sort_out(entries: Iterable[Entry]) -> Contents:
    """Join members to samples, and take out those that a damage has hit.

    Beside a damage a sample counts as whole when it has every extension that most samples of the shard have.
    """
    members: list[Member] = []
    sparse: dict[str, list[Sparse]] = {}
    damages: list[tuple[int, Damage]] = []  # with the number of members in front
    for entry in entries:
        if isinstance(entry, Damage):
            damages.append((len(members), entry))
        elif isinstance(entry, Sparse):
            sparse.setdefault(entry.key, []).append(entry)
        else:
            members.append(entry)
    samples = join(members)
    if not damages:
        return Contents([[members[i] for i in sample] for sample in samples], sparse, [])
    sample_of = {position: number for number, sample in enumerate(samples) for position in sample}
    names = [frozenset(members[i].extension for i in sample) for sample in samples]
    beside = {sample_of[at] for front, _ in damages for at in (front - 1, front) if at in sample_of}
    usual = _usual(names[number] for number in range(len(samples)) if number not in beside)
    lost: set[int] = set()
    hits: list[Hit] = []
    for front, damage in damages:
        hit = Hit(damage)
        for at, in_front in ((front - 1, True), (front, False)):
            number = sample_of.get(at)
            if (
                number is None
                or number in lost
                or _is_whole(members[at].key, names[number], usual, damage, in_front)
            ):
                continue
            lost.add(number)
            hit.incomplete.append([members[i] for i in samples[number]])
        hits.append(hit)
    whole = [[members[i] for i in sample] for number, sample in enumerate(samples) if number not in lost]
    return Contents(whole, sparse, hits)


def bytes_of(members: Iterable[Member]) -> int:
    """The bytes that members take in a tar, with their headers."""
    return sum(BLOCK + member.length + (-member.length % BLOCK) for member in members)


def _usual(of_samples: Iterable[Names]) -> Names | None:
    """The extensions that most samples have; None without samples."""
    counts = Counter(of_samples)
    # Among equally frequent ones the largest set is the strictest.
    return max(counts, key=lambda names: (counts[names], len(names), sorted(names))) if counts else None


def _is_whole(key: str, names: Names, usual: Names | None, damage: Damage, in_front: bool) -> bool:
    if key == damage.key or (in_front and damage.suspect):
        return False
    if damage.cut and damage.key is not None:
        return True  # another sample followed it
    return usual is not None and usual <= names
