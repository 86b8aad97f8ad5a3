"""Python API: open an export to detect, ground and rank."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from data_filters.errors import InputError
from pretrain.evaluation.localisation import CALIBRATIONS, choose_proposer
from pretrain.evaluation.localisation.box_embeddings import embed_boxes
from pretrain.evaluation.localisation.detector import Detector
from pretrain.evaluation.localisation.grounding import ground
from pretrain.evaluation.localisation.judge import Judge
from pretrain.evaluation.localisation.proposal_options import proposal_options
from pretrain.evaluation.metrics.boxes import in_pixels
from pretrain.evaluation.prompts import class_embeddings
from pretrain.evaluation.token_encoder import TokenEncoder
from pretrain.image_arguments import AnyImage, image_list, open_image, text_list


@dataclass(frozen=True)
class Finding:
    """A text located in an image; `box` is (left, top, width, height) in px of the image as shown.

    Shown means upright: an EXIF orientation is applied to images and files alike.
    """

    text: str
    score: float
    box: tuple[float, float, float, float]


class Loupe:
    """An export, opened. Texts are plain English.

    Images are Pillow images, paths of local files or their bytes; each is seen as a viewer shows it: upright by its
    EXIF orientation, transparency on white, the first frame of an animation.
    """

    def __init__(
        self,
        export: str | os.PathLike[str],
        device: str | None = None,
        *,
        proposals: str | None = None,
        **options: object,
    ) -> None:
        """`proposals` is a key of PROPOSERS: the method that proposes boxes. `options` are `ProposalOptions`.

        `device` is cpu, cuda or cuda:N; None: cuda where the machine has it, else cpu.

        Raises InputError on a bad folder, name or option.
        """
        self.encoder = TokenEncoder(os.fspath(export), device)
        self.proposals, self._proposer = choose_proposer(proposals, self.encoder)
        self._options = proposal_options(options)

    def detect(
        self,
        image: AnyImage,
        names: Sequence[str],
        *,
        threshold: float = 0.0,
        most: int = 10,
        templates: str | Sequence[str] = "article",
        calibration: str = "prior",
    ) -> list[Finding]:
        """Objects of the given names, best first: at most `most`, none with a score below `threshold`.

        Scores lie between 0 and 1. With "prior" and "softmax" they compare the names with one another; with "cosine"
        they are cosines moved to 0..1, the only scores that are informative for a single name.

        Raises InputError on a bad image, list of names, template or calibration.
        """
        if isinstance(names, str):
            raise InputError(f"names is {names!r}; give a list of names to look for")
        names = text_list(names, "names")
        if calibration not in CALIBRATIONS:
            raise InputError(f"calibration is {calibration!r}; allowed are {', '.join(CALIBRATIONS)}")
        picture = open_image(image)
        classes = class_embeddings(self.encoder, names, templates).to(self.encoder.device)
        detect = Detector(
            self.encoder, self._proposer, classes, self._options, calibration=calibration, most=most
        )
        detections = detect(picture)
        return [
            Finding(names[name], float(score), tuple(box.tolist()))
            for box, score, name in zip(detections.boxes, detections.scores, detections.classes, strict=True)
            if score >= threshold
        ]

    def ground(self, image: AnyImage, text: str) -> Finding:
        """The box that the text means; its score is the cosine of the text with that part of the image alone.

        Raises InputError on a bad image or text.
        """
        if not isinstance(text, str):
            raise InputError(f"text is {text!r}; give one text")
        picture = open_image(image)
        pixels = self.encoder.pixels([picture])
        embedded = self.encoder.texts([text])
        # Among the region head's boxes, "dropped" ranks better than "alone" (tests/bench/results).
        how = "alone" if self.encoder.region_generator is None else "dropped"
        boxes = ground(self.encoder, self._proposer, pixels, embedded, self._options, Judge(how))
        part = embed_boxes(self.encoder, pixels, boxes, chunk=self._options.chunk)
        box = in_pixels(boxes, picture.size)[0]
        return Finding(text, float((part @ embedded.T)[0, 0]), tuple(box.tolist()))

    def rank(
        self, images: AnyImage | Sequence[AnyImage], texts: str | Sequence[str], batch_size: int = 64
    ) -> Float[Tensor, "I T"]:
        """Cosine of every image with every text: a row per image, a column per text.

        A single image is a list of one and gives one row, a single text one column. The row of an image does not
        depend on the images beside it.

        Raises InputError on an empty list, on an image that cannot be read, and on a batch size below 1.
        """
        images, texts = image_list(images), text_list(texts, "texts")
        if not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f"batch_size is {batch_size!r}; give a number of images, 1 or more")
        rows = [
            self.encoder.embed_images([open_image(image) for image in images[start : start + batch_size]])
            for start in range(0, len(images), batch_size)
        ]
        columns = self.encoder.texts(texts).cpu()
        return torch.cat(rows) @ columns.T
