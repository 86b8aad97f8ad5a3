"""Paints a scene, a background with glyphs on it, and encodes it as JPEG."""

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from pipelines.icon_world.backdrop import Backdrop, paint_backdrop
from pipelines.icon_world.glyphs import glyph_mask
from pipelines.icon_world.scene import Background, Scene, SceneObject
from pipelines.icon_world.vocabulary import BACKGROUND_COLORS, COLORS

QUALITY = 90
_COARSE_NOISE, _FINE_NOISE = 7.0, 5.0  # standard deviation in grey levels
_MOST_NOISE = 24.0


def paint_background(background: Background | Backdrop, side: int) -> NDArray[np.uint8]:
    """Paint a background alone: pixels [side, side, 3], 0..255."""
    if isinstance(background, Backdrop):
        return paint_backdrop(background, side)
    first, second = (np.array(BACKGROUND_COLORS[name], np.float32) for name in background.colors)
    if background.kind == "plain":
        return np.broadcast_to(first.astype(np.uint8), (side, side, 3)).copy()
    if background.kind == "gradient":
        ramp = np.linspace(-0.5, 0.5, side, dtype=np.float32)
        slope = np.cos(background.angle) * ramp[None, :] + np.sin(background.angle) * ramp[:, None]
        share = np.clip(slope + 0.5, 0, 1).astype(np.float32)[:, :, None]
        return (first + share * (second - first) + 0.5).astype(np.uint8)
    rng = np.random.default_rng(background.seed)
    grain = rng.standard_normal((side, side), dtype=np.float32) * _FINE_NOISE
    patches = rng.standard_normal((9, 9), dtype=np.float32) * _COARSE_NOISE
    grain += np.asarray(Image.fromarray(patches).resize((side, side), Image.Resampling.BICUBIC))
    np.clip(grain, -_MOST_NOISE, _MOST_NOISE, out=grain)
    return np.clip(first + grain[:, :, None] + np.float32(0.5), 0, 255).astype(np.uint8)


def paint(scene: Scene, objects: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
    """Paint a scene, or only some of its objects: pixels [side, side, 3], 0..255.

    Distractors belong to what lies behind the objects, so that they hide none of them.
    """
    canvas = paint_background(scene.background, scene.side)
    for shape in scene.distractors:
        _paint_glyph(canvas, shape)
    for index, thing in enumerate(scene.objects):
        if objects is None or index in objects:
            _paint_glyph(canvas, thing)
    return canvas


def _paint_glyph(canvas: NDArray[np.uint8], thing: SceneObject) -> None:
    x, y, width, height = thing.box
    cover = glyph_mask(thing.name, thing.glyph_side)[:, :, None] / np.float32(255)
    under = canvas[y : y + height, x : x + width]
    ink = np.array(COLORS[thing.color], np.float32)
    under[...] = under + cover * (ink - under) + np.float32(0.5)


def encode_jpeg(pixels: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """Encode RGB pixels [height, width, 3] as JPEG; colour at full resolution, which thin small icons need."""
    return simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=quality, colorspace="RGB", colorsubsampling="444"
    )


def resize(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Resample pixels [height, width, 3] to another size, in pixels."""
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
