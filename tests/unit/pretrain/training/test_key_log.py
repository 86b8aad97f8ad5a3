"""Lines of steps that a resumed run does again are dropped, in the files of all ranks."""

from pretrain.training.key_log import append_keys, drop_keys_from


def test_lines_from_the_first_step_on_and_a_cut_line_are_dropped(tmp_path):
    for rank, ranks in ((0, 2), (1, 2), (0, 3)):
        for step in range(4):
            append_keys(tmp_path, rank, ranks, step, [f"{rank}-{step}"])
    with (tmp_path / "keys" / "rank-1-of-2.jsonl").open("a") as file:
        file.write('{"step": 1, "ke')
    with (tmp_path / "keys" / "rank-0-of-3.jsonl").open("a") as file:
        file.write(
            '{"step": 1, "keys": []}'
        )  # whole, but its end was not written: it would merge with the next
    drop_keys_from(tmp_path, 2)
    for rank, ranks in ((0, 2), (1, 2), (0, 3)):
        append_keys(tmp_path, rank, ranks, 2, [])
        lines = (tmp_path / "keys" / f"rank-{rank}-of-{ranks}.jsonl").read_text().splitlines()
        assert lines == [
            *(f'{{"step": {step}, "keys": ["{rank}-{step}"]}}' for step in (0, 1)),
            '{"step": 2, "keys": []}',
        ]


def test_without_keys_nothing_happens(tmp_path):
    drop_keys_from(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []
