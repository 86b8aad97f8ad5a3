"""`loupe demo` hands its options to the chain and prints what comes back."""

import json


def test_options_reach_the_chain(loupe, monkeypatch, tmp_path):
    import cluster.demo

    def record(output, *, pairs, seed, sets):
        return {"output": output, "pairs": pairs, "seed": seed, "sets": sets}

    monkeypatch.setattr(cluster.demo, "run_demo", record)
    words = ("demo", "--output", str(tmp_path), "--pairs", "8", "--seed", "4", "--set", "schedule.steps=2")
    code, out, _ = loupe(*words, "--json")
    assert code == 0
    expected = {"output": str(tmp_path), "pairs": 8, "seed": 4, "sets": ["schedule.steps=2"]}
    assert json.loads(out) == expected
    assert "schedule.steps=2" in loupe(*words)[1]
