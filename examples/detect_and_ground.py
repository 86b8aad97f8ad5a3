"""Find objects by name, ground a sentence, and rank pictures, with an exported model; draws the boxes.

    .venv/bin/python examples/detect_and_ground.py                       # the model and pictures of curate_and_train.sh
    .venv/bin/python examples/detect_and_ground.py --export my/export --names "red umbrella" "blue dog" \
        --text "the small blue dog" a.jpg b.jpg

Writes OUTPUT/NAME.png: the picture with the detected objects in green and the grounded sentence in red.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from pretrain import load

EXAMPLE = Path("build/example")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="*", type=Path, help="JPEG, PNG or WebP files")
    parser.add_argument("--export", default=EXAMPLE / "export", help="folder that loupe export wrote")
    parser.add_argument("--names", nargs="+", default=["globe", "toilet", "computer mouse", "ghost"])
    parser.add_argument("--text", default="a small red object", help="the sentence to ground and to rank by")
    parser.add_argument("--output", type=Path, default=EXAMPLE / "found", help="folder for the drawings")
    parser.add_argument("--most", type=int, default=3, help="detections per picture")
    options = parser.parse_args()
    pictures = options.pictures or sorted((EXAMPLE / "pictures").glob("*.jpg"))
    if not pictures:
        parser.error("no pictures; name some, or run examples/curate_and_train.sh first")
    options.output.mkdir(parents=True, exist_ok=True)

    model = load(options.export)
    for picture in pictures:
        # Boxes are (left, top, width, height) in pixels of the picture as a viewer shows it.
        detections = model.detect(picture, options.names, most=options.most)
        grounded = model.ground(picture, options.text)
        print(picture)
        for detection in detections:
            print(f"  {detection.score:.2f}  {detection.text}  {rounded(detection.box)}")
        print(f"  {grounded.score:.2f}  {grounded.text!r}  {rounded(grounded.box)}")
        with Image.open(picture) as image:
            drawing = draw(
                ImageOps.exif_transpose(image),
                [(d.box, d.text, "green") for d in detections] + [(grounded.box, "", "red")],
            )
        drawing.save(options.output / f"{picture.stem}.png")

    cosines = model.rank(pictures, [options.text])[:, 0]
    print(f"\nPictures by similarity to {options.text!r}:")
    for index in cosines.argsort(descending=True).tolist():
        print(f"  {cosines[index]:.2f}  {pictures[index]}")
    print(f"\nDrawings: {options.output}")


def rounded(box: tuple[float, float, float, float]) -> tuple[int, ...]:
    """The box in whole pixels."""
    return tuple(round(value) for value in box)


def draw(image: Image.Image, boxes: list[tuple[tuple[float, float, float, float], str, str]]) -> Image.Image:
    """A copy of the image, small ones enlarged, with the boxes (box, label, colour) drawn on it."""
    scale = max(1, 448 // max(image.size))
    copy = image.convert("RGB").resize((image.width * scale, image.height * scale))
    pen = ImageDraw.Draw(copy)
    for line, ((left, top, width, height), label, colour) in enumerate(boxes):
        corners = (left * scale, top * scale, (left + width) * scale, (top + height) * scale)
        pen.rectangle(corners, outline=colour, width=3)
        # A line of its own for each label: boxes often coincide.
        pen.text((corners[0] + 5, corners[1] + 4 + 12 * line), label, fill=colour)
    return copy


if __name__ == "__main__":
    main()
