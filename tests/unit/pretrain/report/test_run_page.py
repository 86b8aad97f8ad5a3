import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from data_filters.errors import InputError
from pretrain.evaluation.runner import run_evaluation
from pretrain.report.run_page import write_report

VOID = {"meta", "img", "line", "circle", "polyline", "br"}
EVIL = 'a <script>alert("1")</script> & "more"'


class Reader(HTMLParser):
    """Checks that tags nest, and collects what the page shows and asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.classes: list[str] = []
        self.sections: dict[str, str] = {}
        self.heading: str | None = None

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.classes.append(found.get("class") or "")
        self.sources += [found["src"]] if "src" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.anchors += [found["id"]] if "id" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self.open and self.open[-1] == "h2":
            self.heading = data
            self.sections[data] = ""
        elif self.heading is not None:
            self.sections[self.heading] += data

    def pictures(self) -> list[bytes]:
        start = "data:image/jpeg;base64,"
        assert all(source.startswith(start) for source in self.sources)
        return [base64.b64decode(source.removeprefix(start)) for source in self.sources]


def read(path) -> Reader:
    reader = Reader()
    source = path.read_text(encoding="utf-8")
    reader.feed(source)
    assert reader.open == []
    assert "script" not in reader.tags  # nothing runs, whatever a caption says
    assert "url(" not in source  # and nothing is fetched
    assert "@import" not in source
    assert [f"#{anchor}" for anchor in reader.anchors] == reader.links or not reader.links
    return reader


def written(examples, metrics, folder):
    """An evaluation's folder, written by hand."""
    (folder / "examples").mkdir(parents=True)
    (folder / "examples.json").write_text(json.dumps(examples))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return str(folder)


def jpeg(path, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, "JPEG")
    return path.read_bytes()


@pytest.fixture
def run(tmp_path, curation) -> str:
    folder = tmp_path / "run"
    folder.mkdir()
    config = {
        "name": "tiny <run>",
        "seed": 3,
        "objectives": {"contrastive": {"weight": 1.0}},
        "data": {"batch_size": 32},
        "model": {"projection_dim": 24},
    }
    shards = [{"uri": f"{curation}/00000.tar", "samples": 950, "sha256": "aa"}]
    document = {
        "config": config,
        "config_hash": "abc123",
        "total_steps": 30,
        "data": curation,
        "shards": shards,
    }
    (folder / "config.json").write_text(json.dumps(document))
    lines = [
        {
            "step": step,
            "train/loss": 3.5 - step / 20,
            "train/contrastive_loss": 3.5 - step / 20,
            "train/step_seconds": 0.5 + step / 100,
            "data/wait_percent": 2,
        }
        for step in (10, 20, 30)
    ]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 4')
    return str(folder)


@pytest.fixture
def curation(tmp_path) -> str:
    folder = tmp_path / "curated"
    folder.mkdir()
    filters = [{"name": "min_side", "rejected_in_order": 25}, {"name": "min_words", "rejected_in_order": 10}]
    funnel = {"samples": 1000, "quarantined": 15, "pairs": 985, "kept": 950, "filters": filters}
    (folder / "report.json").write_text(json.dumps({"input": "s3://raw & wild", "funnel": funnel}))
    return str(folder)


def test_the_page_shows_all_its_parts_and_needs_nothing_beside_it(run, export, shards, tmp_path):
    scores = tmp_path / "scores"
    metrics = run_evaluation("retrieval", export, shards, str(scores), options={"examples": 3})
    page = tmp_path / "out" / "report.html"
    write_report(str(page), run=run, evaluations=[str(scores)])
    reader = read(page)
    text = " ".join(reader.text)
    assert "tiny <run>" in text  # escaped in the source, or it would be a tag
    assert "s3://raw & wild" in text  # found through the run's own record of its data
    for way in ("text_to_image", "image_to_text"):
        assert f"{100 * metrics[way]['R@5']:.1f}" in text
    for said in [
        "950",
        "of 1,000 found",
        "rejected: min side",
        "2.5 %",
        "30 of 30 steps",
        "model.projection_dim",
        "Slowest steps",
    ]:
        assert said in text
    examples = json.loads((scores / "examples.json").read_text())
    for entry in examples["text_to_image"]:
        assert entry["caption"] in text
    shown_right = sum(
        hit["image"] == entry["image"] for entry in examples["text_to_image"] for hit in entry["found"]
    )
    framed = [kind for kind in reader.classes if kind in ("right", "missed")]
    listed_right = sum(hit["right"] for entry in examples["image_to_text"] for hit in entry["found"])
    assert framed.count("right") == shown_right + listed_right
    assert framed.count("missed") == 3 - shown_right
    assert len(reader.pictures()) == sum(len(entry["found"]) for entry in examples["text_to_image"]) + (
        3 - shown_right + 3
    )
    assert reader.links[0] == "#scores"


def test_every_task_shows_its_texts_scores_and_pictures(region_export, scenes, tmp_path):
    generator = np.random.default_rng(0)
    for name in ("red_cup", "blue_dog", "tree"):
        (tmp_path / "classes" / name).mkdir(parents=True)
        noise = generator.integers(0, 256, (24, 20, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "classes" / name / "1.png")
    folders = {name: tmp_path / name for name in ("detection", "grounding", "classification")}
    run_evaluation("detection", region_export, scenes, str(folders["detection"]), options={"examples": 3})
    run_evaluation("grounding", region_export, scenes, str(folders["grounding"]), options={"examples": 3})
    run_evaluation("classification", region_export, str(tmp_path / "classes"), str(folders["classification"]))
    page = tmp_path / "report.html"
    write_report(str(page), evaluations=[str(folder) for folder in folders.values()])
    reader = read(page)
    shown = {name: reader.sections[f"What it finds: {name}"] for name in folders}
    expected = []
    for name, folder in folders.items():
        entries = json.loads((folder / "examples.json").read_text())[name]
        assert len(entries) == 3
        expected += [(folder / "examples" / f"{entry['image']}.jpg").read_bytes() for entry in entries]
        for entry in entries:
            for one in entry.get("found", []):
                assert one["name"] in shown[name]
                assert f"{one['score']:.2f}" in shown[name]
            for one in entry.get("objects", []):
                assert one["name"] in shown[name]
            for said in (entry.get("text"), entry.get("class"), entry.get("iou")):
                if said is not None:
                    assert (said if isinstance(said, str) else f"IoU {said:.2f}") in shown[name]
        right = {
            "detection": [
                one["right"] for entry in entries for one in entry.get("found", []) if "right" in one
            ],
            "grounding": [entry["iou"] >= 0.5 for entry in entries if "iou" in entry],
            "classification": [
                one["name"] == e["class"] for e in entries if "class" in e for one in e["found"]
            ],
        }[name]
        assert shown[name].count("✓") == sum(right)
    assert reader.pictures() == expected
    for name in ("detection", "grounding"):
        assert "where it is" in shown[name]  # what the colours mean
    assert "where it is" not in shown["classification"]


def test_alignment_shows_regions_matrix_and_maps(tmp_path):
    folder = tmp_path / "alignment"
    entry = {
        "image": 4,
        "key": "k",
        "caption": "a red cup on a blue table",
        "regions": [{"box": [1, 2, 3, 4], "confidence": 0.91}, {"box": [5, 6, 7, 8], "confidence": 0.42}],
        "phrases": ["a red cup", "a blue table", EVIL],
        "matrix": [[0.71, 0.2, 0.09], [0.15, 0.62, 0.23]],
        "semantic_interactions": [[0.5, -0.25, 0.0], [0.125, 0.25, 0.0]],
        "picture": "examples/4.jpg",
        "maps": [
            {"text": "red cup there", "kind": "word-patch", "picture": "examples/4-1.jpg"},
            {"text": "of its own kind", "kind": "brand new", "picture": "examples/4-2.jpg"},
            {"text": "elsewhere", "kind": "word-patch", "picture": "../../secret.jpg"},
        ],
    }
    metrics = {"task": "alignment", "data": "s3://somewhere/test", "images": 5, "scale": 14.3}
    path = written({"alignment": [entry, {"image": 7}]}, metrics, folder)
    expected = [
        jpeg(folder / "examples" / f"{name}.jpg", seed) for seed, name in enumerate(("4", "4-1", "4-2"))
    ]
    jpeg(tmp_path / "secret.jpg", 9)
    write_report(str(tmp_path / "report.html"), evaluations=[path])
    reader = read(tmp_path / "report.html")
    shown = reader.sections["What it finds: alignment"]
    said = ["a red cup on a blue table", "a blue table", EVIL, "0.71", "0.62", "0.91", "0.42", "-0.250"]
    for one in [*said, "red cup there", "of its own kind", "brand new", "similarity of each word"]:
        assert one in shown
    assert sorted(reader.pictures()) == sorted(expected)  # and none from outside of the folder
    source = (tmp_path / "report.html").read_text()
    heat = [float(part) for part in re.findall(r'--part:([\d.]+)"', source)]
    assert heat[:6] == pytest.approx([0.71, 0.2, 0.09, 0.15, 0.62, 0.23])
    assert heat[6:] == pytest.approx(
        [1, 0, 0, 0.25, 0.5, 0]
    )  # against the greatest; what is negative is not dark
    assert "14.3" not in "".join(reader.text)  # a setting is no score


@pytest.mark.parametrize(
    ("task", "entry"),
    [
        ("detection", {"image": 0, "objects": [{"name": EVIL}], "found": []}),
        ("detection", {"image": 0, "objects": [], "found": [{"name": EVIL, "score": 0.5, "right": True}]}),
        ("grounding", {"image": 0, "text": EVIL, "iou": 0.25}),
        ("classification", {"image": 0, "class": EVIL, "found": [{"name": "cup", "score": 0.5}]}),
        ("classification", {"image": 0, "class": "cup", "found": [{"name": EVIL, "score": 0.5}]}),
        ("alignment", {"image": 0, "caption": EVIL}),
        (
            "alignment",
            {"image": 0, "maps": [{"text": EVIL, "kind": "word-patch", "picture": "examples/0.jpg"}]},
        ),
        ("alignment", {"image": 0, "maps": [{"text": "x", "kind": EVIL, "picture": "examples/0.jpg"}]}),
    ],
)
def test_texts_are_escaped_wherever_they_come_from(task, entry, tmp_path):
    path = written({task: [entry]}, {"task": task, "data": EVIL, "proposals": EVIL}, tmp_path / "scores")
    jpeg(tmp_path / "scores" / "examples" / "0.jpg", 0)
    write_report(str(tmp_path / "report.html"), evaluations=[path])
    assert EVIL in read(tmp_path / "report.html").sections[f"What it finds: {task}"]


def test_retrieval_escapes_its_captions(tmp_path):
    by_text = {"caption": EVIL, "image": 0, "found": [{"image": 1, "score": 0.5}]}
    hit = {"caption": EVIL, "right": False, "score": 0.5}
    by_image = {"image": 0, "captions": [EVIL], "found": [hit]}
    recall = {"R@1": 0.5, "R@5": 0.5, "R@10": 0.5}
    metrics = {"task": "retrieval", "data": "x", "images": 2, "texts": 2}
    metrics |= {"text_to_image": recall, "image_to_text": recall}
    examples = {"text_to_image": [by_text], "image_to_text": [by_image]}
    path = written(examples, metrics, tmp_path / "scores")
    write_report(str(tmp_path / "report.html"), evaluations=[path])
    reader = read(tmp_path / "report.html")
    assert "".join(reader.text).count(EVIL) == 3
    assert "no picture" in "".join(reader.text)  # a file that is missing does not stop the page


@pytest.mark.parametrize(
    ("task", "examples"),
    [
        ("detection", {}),
        ("detection", {"detection": []}),
        ("grounding", {"grounding": []}),
        ("retrieval", {"text_to_image": [], "image_to_text": []}),
        ("alignment", {"alignment": [{"image": 3}]}),
        ("of tomorrow", {"of tomorrow": [{"image": 3}]}),
        ("linear-probe", None),
    ],
)
def test_no_heading_stands_over_nothing(task, examples, tmp_path):
    recall = {"R@1": 0.5, "R@5": 0.5, "R@10": 0.5}
    metrics = {"task": task, "data": "x", "top1": 0.125, "images": 4, "texts": 4}
    metrics |= {"text_to_image": recall, "image_to_text": recall} if task == "retrieval" else {}
    path = written(examples or {}, metrics, tmp_path / "scores")
    if examples is None:
        (tmp_path / "scores" / "examples.json").unlink()
    write_report(str(tmp_path / "report.html"), evaluations=[path])
    reader = read(tmp_path / "report.html")
    assert list(reader.sections) == ["Scores"]
    assert ("50.0" if task == "retrieval" else "12.5") in reader.sections["Scores"]


def test_several_evaluations_of_a_task_stand_under_one_heading(tmp_path):
    paths = []
    for way in ("pixel", "kmeans"):
        entry = {"image": 0, "text": f"seen by {way}", "iou": 0.75}
        metrics = {"task": "grounding", "data": "a/test", "proposals": way, "accuracy@0.5": 0.5}
        paths.append(written({"grounding": [entry]}, metrics, tmp_path / way))
    write_report(str(tmp_path / "report.html"), evaluations=paths)
    reader = read(tmp_path / "report.html")
    shown = reader.sections["What it finds: grounding"]
    assert shown.index("test, pixel") < shown.index("seen by pixel") < shown.index("test, kmeans")
    assert shown.index("test, kmeans") < shown.index("seen by kmeans")
    assert reader.tags.count("details") == 1


def test_the_same_curve_is_drawn_once(run, tmp_path):
    write_report(str(tmp_path / "report.html"), run=run)
    reader = read(tmp_path / "report.html")
    # The loss, which is also the one objective's; the time of a step; the wait for data.
    assert reader.classes.count("chart") == 3


def test_parts_that_are_not_given_are_left_out(curation, tmp_path):
    write_report(str(tmp_path / "report.html"), curation=curation)
    text = " ".join(read(tmp_path / "report.html").text)
    assert "What it learned from" in text
    assert "Recipe" not in text
    assert "Scores" not in text


def test_a_folder_that_lacks_its_file_is_one_clear_line(run, tmp_path):
    for options, said in [
        ({"run": str(tmp_path)}, r"no config\.json"),
        ({"curation": run}, r"no report\.json"),
        ({"evaluations": [run]}, r"no metrics\.json"),
    ]:
        with pytest.raises(InputError, match=said):
            write_report(str(tmp_path / "report.html"), **options)
    assert not (tmp_path / "report.html").exists()
