"""Composes captions from templates and records where each object is mentioned."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pipelines.icon_world.relations import position, relation
from pipelines.icon_world.scene import Scene
from pipelines.icon_world.vocabulary import article

_OPENINGS = ("", "", "", "a photo of ", "a picture of ", "an image of ", "an illustration of ", "there is ")
_BACKGROUND_WORDS = {
    "plain": " on a plain background",
    "gradient": " on a smoothly shaded background",
    "noise": " on a noisy background",
    "photograph": "",
}
# share of mentions with size and colour, colour only, size only, name only
_DETAIL = (0.82, 0.10, 0.04, 0.04)


@dataclass(frozen=True)
class Mention:
    """The characters start to end of the caption name object number `object` of the scene, without the article."""

    object: int
    start: int
    end: int


@dataclass(frozen=True)
class Relation:
    """The caption says that object `subject` stands `relation` object `object` ("above", "to the left of", ...)."""

    subject: int
    relation: str
    object: int


@dataclass
class Caption:
    """A caption while it is composed: its text, and the mentions and relations in it."""

    text: str = ""
    mentions: list[Mention] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)

    def say(self, words: str) -> None:
        """Append words."""
        self.text += words

    def name(self, index: int, words: str, determiner: str | None = None) -> None:
        """Append the mention of an object: "a large red umbrella", or "the ..." with a determiner given."""
        self.text += f"{determiner or article(words)} "
        self.mentions.append(Mention(index, len(self.text), len(self.text) + len(words)))
        self.text += words


def compose_caption(rng: np.random.Generator, scene: Scene) -> Caption:
    """Draw a caption that is true of the scene; one in ten of those about three or more objects leaves one out.

    At least four words long. Most mentions give size and colour, so that a caption fits few other scenes.
    """
    words = _mention_words(rng, scene)
    order = [int(index) for index in rng.permutation(len(scene.objects))]
    if len(order) > 2 and rng.random() < 0.1:
        order.pop()  # as on the web, a caption may leave something out
    caption = Caption()
    caption.say(str(rng.choice(_OPENINGS)))
    if len(order) == 1:
        caption.name(order[0], words[order[0]])
        where = position(scene, order[0])
        if where and rng.random() < 0.6:
            caption.say(f" {where}")
    else:
        _compose_several(rng, scene, order, words, caption)
    if rng.random() < (0.3 if len(order) == 1 else 0.08):
        caption.say(_BACKGROUND_WORDS[scene.background.kind])
    return caption


def _mention_words(rng: np.random.Generator, scene: Scene) -> list[str]:
    """Draw the words for each object; with size and colour where two objects share a name, or for a lone object."""
    names = [thing.name for thing in scene.objects]
    calls = []
    for thing in scene.objects:
        detail = int(rng.choice(4, p=_DETAIL))
        if names.count(thing.name) > 1 or len(names) == 1:
            detail = 0
        calls.append(
            [
                f"{thing.size} {thing.color} {thing.name}",
                f"{thing.color} {thing.name}",
                f"{thing.size} {thing.name}",
                thing.name,
            ][detail]
        )
    return calls


def _compose_several(
    rng: np.random.Generator, scene: Scene, order: list[int], words: list[str], caption: Caption
) -> None:
    """Append two objects in a clear relation, if there is one, and the rest as a list; or all as a list."""
    pairs = [(a, b) for a in order for b in order if a < b and relation(scene, a, b)]
    rest = order
    if pairs and rng.random() < 0.8:
        subject, other = pairs[rng.integers(len(pairs))]
        if rng.random() < 0.5:
            subject, other = other, subject
        rest = [index for index in order if index not in (subject, other)]
        between = relation(scene, subject, other)
        assert between is not None
        caption.name(subject, words[subject])
        caption.say(f" {between} ")
        caption.name(other, words[other])
        caption.relations.append(Relation(subject, between, other))
        if rest:
            caption.say(str(rng.choice((", with ", ", together with ", ", and also "))))
    for place, index in enumerate(rest):
        if place:
            last = place == len(rest) - 1
            caption.say(" and " if last else ", ")
        caption.name(index, words[index])
