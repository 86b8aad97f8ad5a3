"""What is printed where nobody watches: plain lines on standard error, tables on standard output."""

from cluster.console import print_table, progress, table, training_lines


def test_progress_without_a_terminal_is_the_first_and_the_last_line(capsys):
    with progress("curating") as tick:
        for done in range(1, 6):
            tick(done, 5)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["curating: 1 of 5", "curating: 5 of 5"]


def test_a_total_that_is_unknown_is_left_out(capsys):
    with progress("evaluating") as tick:
        tick(3, None)
    assert capsys.readouterr().err == "evaluating: 3\n"


def test_training_lines_keep_the_newest_metrics(capsys):
    with training_lines(2) as (report, last):
        for step, loss in ((1, 0.5), (2, 0.25)):
            report(
                {
                    "step": step,
                    "train/loss": loss,
                    "train/images_per_second": 10.0,
                    "data/wait_percent": 1.5,
                }
            )
    assert (last["step"], last["train/loss"]) == (2, 0.25)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "training: 2 of 2  loss 0.250  10 images/s  data wait 1.5%"


def test_training_says_what_it_waits_for_before_the_first_step(capsys):
    for note, line in (
        ("starting workers", "training: 0 of 2  starting workers\n"),
        ("", "training: 0 of 2\n"),
    ):
        with training_lines(2, note):
            assert capsys.readouterr().err == line


def test_a_table_has_dotted_names(capsys):
    table({"a": {"b": 0.123456, "c": {"d": "text"}}, "e": 3})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["a.b", "0.1235"], ["a.c.d", "text"], ["e", "3"]]


def test_values_are_plain_text(capsys):
    table(
        {
            "templates": ["a {}", "the {}"],
            "skipped": {},
            "grid": (2, 2),
            "keys": [],
            "gallery": None,
            "region_head": True,
            "rows": [{"name": "clip", "score": 0.5}, {"name": "filip"}],
            "scores": [0.123456, 1],
            "data": "my/set [red] :boat:",
        }
    )
    rows = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [[part.strip() for part in row] for row in rows] == [
        ["templates", "a {}, the {}"],
        ["skipped", "none"],
        ["grid", "2, 2"],
        ["keys", "none"],
        ["gallery", "none"],
        ["region_head", "yes"],
        ["rows.1.name", "clip"],
        ["rows.1.score", "0.5"],
        ["rows.2.name", "filip"],
        ["scores", "0.1235, 1"],
        ["data", "my/set [red] :boat:"],
    ]


def test_columns_of_numbers_end_at_the_same_place(capsys):
    print_table(
        ["filter", "rule", "judged"],
        [["small_image", "above 2 px", "2,000"], ["few_words", "from 3", "7"], ["kept", "", ""]],
    )
    head, small, few, kept = (line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert kept == "kept"
    assert head.split() == ["filter", "rule", "judged"]
    assert small.split() == ["small_image", "above", "2", "px", "2,000"]
    assert few.index("from 3") == small.index("above 2 px") == head.index("rule")
    assert len(few) == len(small) == len(head)
