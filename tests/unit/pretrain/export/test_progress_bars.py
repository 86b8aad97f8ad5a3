import pytest
from transformers.utils import logging

from pretrain.export.progress_bars import quiet_loading


def fail_silently():
    with quiet_loading():
        assert not logging.is_progress_bar_enabled()
        raise RuntimeError("while silent")


@pytest.mark.parametrize("shown", [True, False])
def test_bars_are_as_before_afterwards(shown):
    before = logging.is_progress_bar_enabled()
    try:
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
        with pytest.raises(RuntimeError, match="while silent"):
            fail_silently()
        assert logging.is_progress_bar_enabled() == shown
    finally:
        (logging.enable_progress_bar if before else logging.disable_progress_bar)()
