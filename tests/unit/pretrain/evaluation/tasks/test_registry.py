import pytest

from data_filters.errors import InputError
from pretrain.evaluation.tasks import TASKS, get_task
from pretrain.evaluation.tasks.retrieval import Retrieval


def test_tasks_are_found_by_name():
    assert get_task("retrieval") is TASKS["retrieval"]
    assert isinstance(get_task("retrieval"), Retrieval)
    with pytest.raises(InputError, match=", ".join(TASKS)):
        get_task("chess")


@pytest.mark.parametrize("name", list(TASKS))
def test_what_tables_and_the_console_show_is_named(name):
    task = TASKS[name]
    assert task.remark.endswith(".")
    assert set(task.columns) <= {*task.headlines.values()}  # what an ablation compares, the console shows
    assert task.chief is None or task.chief in task.columns
