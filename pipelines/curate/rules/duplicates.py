"""The rule `duplicates`: pairs with equal captions, equal images or both."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from pipelines.curate.corpus.corpus import Corpus
from pipelines.curate.corpus.duplicates import Of, drop_repeats, drop_widespread
from pipelines.curate.rules.rule import CorpusRule


class Duplicates(CorpusRule):
    """Exact duplicates; captions are equal after NFKC, casefold and white space, images byte by byte."""

    kind: Literal["duplicates"]
    of: Of = Field(description="what is equal: `caption`, `image`, or `both` of them")
    keep: Literal["first", "none"] | None = Field(
        None, description="of equal pairs: keep the earliest (`first`), or drop all (`none`)"
    )
    max_images: int | None = Field(
        None, ge=1, description="distinct images; all pairs of a caption with more are dropped (ALIGN: 10)"
    )
    max_captions: int | None = Field(
        None, ge=1, description="distinct captions; all pairs of an image with more are dropped"
    )

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        given = [name for name in ("keep", "max_images", "max_captions") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"received {' and '.join(given) or 'none of its limits'}; "
                "give exactly one of keep, max_images, max_captions"
            )
        for name, of in (("max_images", "caption"), ("max_captions", "image")):
            if name in given and self.of != of:
                raise ValueError(f"{name} counts for each {of}, but `of` is {self.of}; set of: {of}")
        return self

    def decide(self, corpus: Corpus) -> None:
        """Bring equal hashes together, in one shuffle."""
        if self.keep is not None:
            drop_repeats(corpus, self.of, keep_first=self.keep == "first")
            return
        limit, counted = self._limit_and_column()
        drop_widespread(corpus, self.of, counted, limit)

    def _limit_and_column(self) -> tuple[int, str]:
        if self.max_images is not None:
            return self.max_images, "image_hash"
        assert self.max_captions is not None
        return self.max_captions, "caption_key"

    def words(self) -> str:
        if self.keep is not None:
            equal = "caption and image" if self.of == "both" else self.of
            return f"keeps: {'the first' if self.keep == 'first' else 'none'} of pairs with equal {equal}"
        if self.max_images is not None:
            return f"keeps: captions with at most {self.max_images:,} distinct images"
        return f"keeps: images with at most {self.max_captions:,} distinct captions"

    def limit(self) -> str:
        if self.keep is not None:
            return "the first of equal pairs" if self.keep == "first" else "no equal pair"
        return f"max_images {self.max_images}" if self.max_images else f"max_captions {self.max_captions}"
