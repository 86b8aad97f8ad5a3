"""What can be checked without a cluster: which Ray is taken, and that what is set is set back."""

import logging
import os

import pytest
import ray
import ray.data

from pipelines.ray_session import quiet_data, running_ray

BARS = ("enable_progress_bars", "enable_operator_progress_bars", "enable_rich_progress_bars")


def test_bars_and_logs_are_set_back_also_after_an_error():
    context = ray.data.DataContext.get_current()
    names = [name for name in BARS if hasattr(context, name)]
    before = {name: getattr(context, name) for name in names}
    level = logging.getLogger("ray.data").level

    def fail_while_quiet() -> None:
        with quiet_data(ray):
            assert not any(getattr(context, name) for name in names)
            assert logging.getLogger("ray.data").level == logging.WARNING
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fail_while_quiet()
    assert {name: getattr(context, name) for name in names} == before
    assert logging.getLogger("ray.data").level == level


@pytest.mark.parametrize("address", [None, "ray://head:10001"])
def test_ray_is_started_here_unless_an_address_is_given_and_stopped_again(monkeypatch, address):
    calls: list[tuple[str, dict[str, object]]] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)  # another test may have started one
    monkeypatch.setattr(ray, "init", lambda **options: calls.append(("init", options)))
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append(("shutdown", {})))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if address:
        monkeypatch.setitem(os.environ, "RAY_ADDRESS", address)

    def fail_while_running() -> None:
        with running_ray(3) as running:
            assert running is ray
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fail_while_running()
    (first, options), (last, _) = calls
    assert (first, last) == ("init", "shutdown")
    assert options.get("address") == (None if address else "local")
    assert options.get("num_cpus") == (None if address else 3)


def test_a_ray_that_runs_is_used_and_left_running(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "init", lambda **options: pytest.fail("started another"))
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("stopped one that is not ours"))
    with running_ray(1) as running:
        assert running is ray
