from pipelines.curate.corpus.near.no_verdict import add_counts


def test_counts_are_added_cause_by_cause() -> None:
    assert add_counts({"a": 1, "b": 2}, {"b": 3, "c": 4}) == {"a": 1, "b": 5, "c": 4}
