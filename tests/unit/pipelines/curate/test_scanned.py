"""What phase A says of all raw shards, summed as it comes."""

from pipelines.curate.config import CurateConfig
from pipelines.curate.corpus_decision import Shards
from pipelines.curate.plan import make_plan
from pipelines.curate.scanned import Scanned
from pipelines.shards.unit import Unit

PLAN = make_plan(CurateConfig(filters=[]))
UNITS = [Unit(name, f"/{name}.tar", 1) for name in "abc"]


def result(number: int) -> dict:
    funnel = {
        "samples": number,
        "quarantined": 0,
        "pairs": number,
        "kept": number,
        "filters": [],
        "quarantine": {},
    }
    return {"sha256": f"{number:02}" * 32, "rows": number, "kept_bytes": 10 * number, "funnel": funnel}


def test_results_in_any_order_stand_in_the_order_of_the_shards():
    scanned = Scanned(UNITS, PLAN)
    for number, unit in ((3, UNITS[2]), (1, UNITS[0]), (2, UNITS[1])):
        scanned.add(unit, result(number))
    assert dict(scanned) == {"a": 10, "b": 20, "c": 30}
    assert scanned.funnel.kept == 6
    assert scanned.sha256("b") == "02" * 32
    assert scanned.shards() == Shards(("a", "b", "c"), b"\1" * 32 + b"\2" * 32 + b"\3" * 32, (1, 2, 3))
    assert "d" not in scanned


def test_commits_stand_beside_what_was_scanned_now():
    whole, some = Scanned(UNITS, PLAN), Scanned(UNITS[1:2], PLAN)
    for number, unit in enumerate(UNITS, 1):
        whole.add(unit, result(number))
    some.add(UNITS[1], result(2))
    inputs = [{"name": name, "sha256": f"{n:02}" * 32, "rows": n} for n, name in ((1, "a"), (3, "c"))]
    joined = some.with_commits(UNITS, [{"inputs": inputs}], PLAN)
    assert joined.shards() == whole.shards()
    assert (joined.funnel.kept, joined["b"], joined["a"]) == (2, 20, 0)
