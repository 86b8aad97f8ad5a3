"""One real shard curated by phases A to C without Ray: its manifest, bytes of a row in each exchange, requests."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from simulated_store import PROTOCOL, SimulatedStore

from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus import in_process
from pipelines.curate.identity import recipe_hash, recipe_settings
from pipelines.curate.inputs import find_units
from pipelines.curate.plan import Plan, make_plan
from pipelines.curate.score_files import ScoreFiles
from pipelines.curate.tasks import ScanShard, WriteShard
from pipelines.shards.unit import Unit


def real_shard(config: CurateConfig, tar: Path, folder: Path) -> dict[str, Any]:
    """Phases A to C for a real tar, without Ray: the manifest, the results, and the bytes of a row in each exchange."""
    plan = make_plan(config)
    raw, output = folder / "raw", str(folder / "out")
    raw.mkdir()
    (raw / tar.name).write_bytes(tar.read_bytes())
    (unit,) = find_units(str(raw))
    cpu = time.process_time()
    scan = ScanShard(plan, output, False, None)(unit)
    scan_cpu = time.process_time() - cpu
    source = ScoreFiles(output, (unit.name,), (scan["rows"],), plan)
    exchanges = bytes_of_rows(source, plan)
    write = WriteShard(
        CurateConfig(min_side=63, max_bad_fraction=1),
        make_plan(CurateConfig(min_side=63)),
        output,
        [],
        None,
        False,
    )
    cpu = time.process_time()
    written = write(unit)
    write_cpu = time.process_time() - cpu
    manifest = json.loads((folder / "out" / "manifests" / f"{unit.name}.json").read_text())
    manifest["config"], manifest["config_hash"] = recipe_settings(config, plan), recipe_hash(config, plan)
    manifest["rules"] = [step.name for step in plan.steps]
    manifest["funnel"]["filters"] = [
        {**manifest["funnel"]["filters"][0], "name": step.name, "words": step.rule.words()}
        for step in plan.steps
    ]
    scan["funnel"]["filters"] = manifest["funnel"]["filters"]
    written["funnel"] = manifest["funnel"]
    scores = {path.parent.name: path.stat().st_size for path in Path(output, "scores").rglob("*.parquet")}
    return {
        "rows": scan["rows"],
        "tar": tar.stat().st_size,
        "scan": scan,
        "written": written,
        "manifest": manifest,
        "exchanges": exchanges,
        "scan_us": 1e6 * scan_cpu / scan["rows"],
        "write_us": 1e6 * write_cpu / scan["rows"],
        "scores": {name: size / scan["rows"] for name, size in scores.items()},
    }


def bytes_of_rows(source: ScoreFiles, plan: Plan) -> dict[str, float]:
    """Bytes for each pair of the corpus that the rules over it hand to the exchange, by rule; drops beside them."""
    found: dict[str, float] = {}
    rows = source.rows(0)

    class Counting(in_process._Corpus):
        def _reduced(self, columns: Any, select: Any, reduce: Any) -> Any:
            sizes: list[int] = []

            def counted(part: Any) -> Any:
                table = select(part)
                sizes.append(table.nbytes)
                return table

            tables = super()._reduced(columns, counted, reduce)
            number = sum(key.startswith(name) for key in found) + 1
            found[f"{name} {number}"] = sum(sizes) / rows
            return tables

    for step in plan.steps:
        if step.is_corpus:
            name = step.name
            step.rule.decide(Counting(in_process.InProcess(source)))
    return found


def worker_requests(config: CurateConfig, tar: Path) -> dict[str, dict[str, int]]:
    """Requests of a worker for one raw shard in the store: a first scan, a scan of stored scores, a write."""
    path = f"real/{tar.name}"
    SimulatedStore.stored[path] = tar.read_bytes()
    unit = Unit(tar.stem, f"{PROTOCOL}://{path}", tar.stat().st_size)
    plan, output = make_plan(config), f"{PROTOCOL}://done"
    found = {}
    for name, task in {
        "scan": ScanShard(plan, output, False, None),
        "scan again": ScanShard(plan, output, False, None),
        "write": WriteShard(config, plan, output, [], None, False),
    }.items():
        SimulatedStore.requests.clear()
        task(unit)
        found[name] = dict(SimulatedStore.requests)
    return found
