"""Class names in sentences, and the mean embedding of a class's sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from data_filters.errors import InputError
from pretrain.evaluation.encoder import EMBEDDING, ExportedEncoder

TEMPLATES: dict[str, tuple[str, ...]] = {
    "name": ("{}",),
    "article": ("a {}", "the {}"),
    "photo": (
        "a photo of a {}",
        "a picture of the {}",
        "a close view of a {}",
        "a small {} in a photo",
        "a large {} in a photo",
        "there is a {} in the scene",
    ),
    "icon": tuple(
        f"a {size} {color} {{}}"
        for size in ("small", "large")
        for color in ("red", "green", "blue", "yellow", "orange", "purple", "black", "gray")
    ),
}
"""Sets of templates by name; `{}` is the class name."""

_ARTICLE = re.compile(r"\b[aA]n? (?=\{\})")
_VOWEL_SOUND = re.compile(
    r"(?!(?:eu|ewe|onc?e\b|u[fk]|ubi|uni(?![dmn])|ur[ai]|us[aeu]|ut[eio]))[aeiou]|hour|heir|honest|hono",
    re.IGNORECASE,
)

CHUNK = 256  # prompts per forward pass


def choose_templates(given: str | Sequence[str]) -> tuple[str, ...]:
    """The templates of a set by name, or those given, each with `{}` for the class name.

    Raises InputError on a template without one `{}`, and on an empty list.
    """
    if isinstance(given, str) and given in TEMPLATES:
        return TEMPLATES[given]
    templates = (given,) if isinstance(given, str) else tuple(given)
    for template in templates:
        if template.count("{}") != 1:
            raise InputError(
                f"template is {template!r}; allowed are {', '.join(TEMPLATES)}, or a text with one {{}} for the name"
            )
    if not templates:
        raise InputError(f"templates is empty; allowed are {', '.join(TEMPLATES)}, or texts with one {{}}")
    return templates


def prompt(template: str, name: str) -> str:
    """The template with the name in it; the word "a" or "an" directly before it is the one that the name needs.

    Which one is judged by the first letters: a vowel, but not as "you" or "one" (a university, a one-way street), or a
    silent h (an hour). Abbreviations that are spelled out (an X-ray) are not known.
    """
    article = "an" if _VOWEL_SOUND.match(name) else "a"
    template = _ARTICLE.sub(lambda found: found[0][0] + article[1:] + " ", template)
    return template.replace("{}", name)


def class_embeddings(
    encoder: ExportedEncoder,
    names: Sequence[str],
    templates: str | Sequence[str] = "article",
    pooling: str = EMBEDDING,
) -> Float[Tensor, "N D"]:
    """Unit-length mean over the templates of the unit-length embeddings of each class (CLIP, section 3.1.4).

    A `pooling` other than "embedding" takes a `TokenEncoder`.
    """
    return F.normalize(prompt_embeddings(encoder, names, templates, pooling).mean(1), dim=-1)


def prompt_embeddings(
    encoder: ExportedEncoder,
    names: Sequence[str],
    templates: str | Sequence[str] = "article",
    pooling: str = EMBEDDING,
) -> Float[Tensor, "N T D"]:
    """Unit-length embeddings of each class in each template. A `pooling` other than "embedding": `TokenEncoder`."""
    chosen = choose_templates(templates)
    texts = [prompt(template, name) for name in names for template in chosen]
    parts = [
        encoder.embed_texts(texts[start : start + CHUNK], pooling) for start in range(0, len(texts), CHUNK)
    ]
    return torch.cat(parts).unflatten(0, (len(names), len(chosen)))
