"""Makes one sample of the icon world, a pure function of (seed, split, index): scene, caption, ground truth."""

from dataclasses import dataclass, replace

import numpy as np

from pipelines.icon_world.backdrop import draw_backdrop
from pipelines.icon_world.caption import Caption, compose_caption
from pipelines.icon_world.distractors import draw_distractors, unnamed_glyphs
from pipelines.icon_world.photographs import Photographs
from pipelines.icon_world.referring import refer
from pipelines.icon_world.scene import SINGLE_SHARE, Scene, SceneObject, draw_scene
from pipelines.icon_world.vocabulary import NAMES, SPLITS

# Independent streams of random numbers for one sample: a change in one does not change the others.
SCENE, CAPTION, REFERRING, FLAW, DAMAGE, BACKDROP, DISTRACTORS = range(7)


@dataclass(frozen=True)
class World:
    """The arguments that every sample of a world depends on, besides its split and index."""

    seed: int
    side: int
    flaws: bool
    test_pairs: int
    names: tuple[str, ...] = NAMES
    single_share: float = SINGLE_SHARE
    """Of training scenes; the held-out splits do not depend on it, so that models can be compared."""
    photographs: Photographs | None = None
    """What lies behind the objects, if photographs do; objects and their places do not depend on it."""
    distractors: int = 0
    """The most of a scene; objects and their places do not depend on it."""

    def rng(self, split: str, index: int, stream: int) -> np.random.Generator:
        """The generator of one stream of one sample."""
        return np.random.default_rng((self.seed, SPLITS.index(split), index, stream))

    def scene(self, split: str, index: int) -> Scene:
        """Draw the scene of a sample, before any flaw."""
        singles = self.single_share if split == "train" else SINGLE_SHARE
        scene = draw_scene(self.rng(split, index, SCENE), split, self.side, self.names, singles)
        if self.photographs is not None:
            backdrop = draw_backdrop(self.rng(split, index, BACKDROP), self.photographs, split)
            scene = replace(scene, background=backdrop)
        if self.distractors:
            rng, glyphs = self.rng(split, index, DISTRACTORS), unnamed_glyphs(self.names)
            shapes = draw_distractors(rng, split, scene, glyphs, self.distractors)
            scene = replace(scene, distractors=shapes)
        return scene

    def caption(self, split: str, index: int, scene: Scene) -> Caption:
        """Draw the caption of a sample whose scene is `scene`, before any flaw."""
        return compose_caption(self.rng(split, index, CAPTION), scene)

    def metadata(self, split: str, index: int, scene: Scene, caption: Caption) -> dict[str, object]:
        """Make the ground truth that KEY.json holds."""
        referring = refer(self.rng(split, index, REFERRING), scene)
        return {
            "caption": caption.text,
            "width": scene.side,
            "height": scene.side,
            "background": scene.background.kind,
            "objects": _listed(scene.objects),
            **({"distractors": _listed(scene.distractors)} if self.distractors else {}),
            "mentions": [vars(mention) for mention in caption.mentions],
            "relations": [vars(said) for said in caption.relations],
            "referring": [vars(expression) for expression in referring],
            "split": split,
        }


def _listed(things: tuple[SceneObject, ...]) -> list[dict[str, object]]:
    """Objects or distractors as KEY.json holds them."""
    return [
        {"name": thing.name, "color": thing.color, "size": thing.size, "box": list(thing.box)}
        for thing in things
    ]


def sample_key(split: str, index: int) -> str:
    """The key of a sample: unique in the world, the same in any larger world of the same seed."""
    return f"{split}-{index:08d}"
