"""Zero-shot retrieval: which caption belongs to an image, which image to a caption."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from data_filters.errors import InputError
from pipelines.common.config import NO_EFFECT_ON_OUTPUT
from pretrain.evaluation.data.gallery import Gallery, embed_gallery
from pretrain.evaluation.data.phrase_gallery import embed_phrase_gallery
from pretrain.evaluation.data.samples import count_pairs
from pretrain.evaluation.data.token_gallery import TokenGallery, embed_token_gallery
from pretrain.evaluation.encoder import EMBEDDING
from pretrain.evaluation.metrics.recall import recall
from pretrain.evaluation.options import ExampleOptions, one_of
from pretrain.evaluation.pictures.retrieval import retrieval_examples, write_retrieval_examples
from pretrain.evaluation.task import Evaluation, EvaluationTask, Metrics
from pretrain.evaluation.token_encoder import MAX_POOLED

GLOBAL, LATE_INTERACTION, PHRASES = "global", "late_interaction", "phrases"
SCORINGS = (GLOBAL, MAX_POOLED, LATE_INTERACTION, PHRASES)


class RetrievalOptions(ExampleOptions):
    """How images and texts are compared."""

    examples: int = Field(
        6, ge=0, description="example queries per direction", json_schema_extra=NO_EFFECT_ON_OUTPUT
    )
    scoring: Annotated[str, one_of(SCORINGS)] = Field(
        GLOBAL,
        description="global: cosine of the two embeddings; max_pooled: cosine of the channel-wise maxima of the "
        "tokens; late_interaction: mean of the best match of every patch, or of every word (FILIP); phrases: the "
        "cosine of max_pooled plus the mean over the caption's phrases of the best patch",
    )
    token_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="share of each item's tokens that late interaction compares, the best ones; as in training",
    )

    @model_validator(mode="after")
    def check_share(self) -> RetrievalOptions:
        if self.scoring != LATE_INTERACTION and self.token_share < 1:
            raise ValueError(
                f"token_share is {self.token_share} with scoring {self.scoring!r}, which has no use for it; "
                "set scoring=late_interaction"
            )
        return self


class Retrieval(EvaluationTask[RetrievalOptions, Gallery | TokenGallery]):
    """R@1, R@5 and R@10 from image to text and from text to image, as fractions from 0 to 1.

    An image is found by any of its captions, each caption is a query of its own, ties count against the model
    (`recall.ranks`). Late interaction (`token_gallery`) compares the tokens of any export whose tokens are known,
    whatever it was trained with.

    `examples.json` holds queries of both directions, evenly spaced over the gallery, not chosen by their success.
    """

    options = RetrievalOptions
    columns: ClassVar = {
        "R@1": "R@1",
        "image_to_text.R@1": "R@1 image → text",
        "text_to_image.R@1": "R@1 text → image",
    }
    headlines: ClassVar = {
        "R@1": "R@1",
        "image_to_text": "image_to_text.R@1",
        "text_to_image": "text_to_image.R@1",
    }
    directions: ClassVar = {"text_to_image": "text → image", "image_to_text": "image → text"}
    counts: ClassVar = {"images": "images", "texts": "captions"}
    remark = "Zero-shot, in percent; ties count against the model."

    def needs_tokens(self, options: RetrievalOptions) -> bool:
        """Late interaction compares tokens, and maxima are taken over them."""
        return options.scoring != GLOBAL

    def settings(self, evaluation: Evaluation[RetrievalOptions]) -> Metrics:
        """The share of tokens is recorded where it has an effect."""
        settings = super().settings(evaluation)
        if evaluation.options.scoring != LATE_INTERACTION:
            del settings["token_share"]
        return settings

    def check_data(self, data: str, options: RetrievalOptions) -> None:
        """Refuse a gallery of more images than the data can have pairs."""
        pairs = count_pairs(data)
        if pairs < (options.gallery or 1):
            raise InputError(
                f"data {data!r} has {pairs} pairs, gallery asks for {options.gallery or 'at least 1'}; give more "
                "data or a smaller gallery"
            )

    def measure(self, evaluation: Evaluation[RetrievalOptions]) -> Gallery | TokenGallery:
        """Embed the gallery. Raises InputError where the data have fewer images than it asks for."""
        options = evaluation.options
        size, batch_size, progress = options.gallery, options.batch_size, evaluation.progress
        gallery: Gallery | TokenGallery
        if options.scoring == PHRASES:
            gallery = embed_phrase_gallery(
                evaluation.token_encoder,
                evaluation.data,
                size=size,
                batch_size=batch_size,
                progress=progress,
            )
        elif options.scoring != LATE_INTERACTION:
            gallery = embed_gallery(
                evaluation.encoder,
                evaluation.data,
                size=size,
                batch_size=batch_size,
                progress=progress,
                pooling=EMBEDDING if options.scoring == GLOBAL else MAX_POOLED,
            )
        else:
            whole = embed_token_gallery(
                evaluation.token_encoder, evaluation.data, size=size, batch_size=batch_size, progress=progress
            )
            gallery = whole if options.token_share == 1 else whole.keep_best(options.token_share)
        evaluation.skipped.update(gallery.skipped)
        return gallery

    def summary(self, evaluation: Evaluation[RetrievalOptions], measured: Gallery | TokenGallery) -> Metrics:
        """Recalls of both directions, the mean of both at 1, and the numbers of images and captions."""
        of_images, of_texts = (recall(ranks) for ranks in measured.ranks())
        return {
            "image_to_text": of_images,
            "text_to_image": of_texts,
            "R@1": (of_images["R@1"] + of_texts["R@1"]) / 2,
            "images": len(measured.images),
            "texts": len(measured.texts),
        }

    def write_examples(
        self, evaluation: Evaluation[RetrievalOptions], measured: Gallery | TokenGallery, output: str
    ) -> None:
        """Write `examples.json` and a thumbnail of each image in it."""
        examples = retrieval_examples(measured, count=evaluation.options.examples)
        write_retrieval_examples(output, examples, evaluation.data)
