"""Fixtures that every test may use."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("DS_ACCELERATOR", "cpu")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.pop("RAY_ADDRESS", None)  # tests start a Ray of their own, whatever runs on the machine


# A shell starts what runs in its background with SIGINT ignored, and every process that a test starts would inherit it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline per example: the first one may compile templates, and machines that run tests are shared.
settings.register_profile("shared_machine", deadline=None)
settings.load_profile("shared_machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--long`, which `make test-long` gives."""
    parser.addoption(
        "--long",
        action="store_true",
        help="repeat the tests marked `long` as often as they say; else a tenth as often",
    )


@pytest.fixture
def repetitions(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """Function from a number of repetitions to that number with `--long`, else to a tenth of it, at least 1."""
    full = bool(request.config.getoption("--long"))
    return lambda count: count if full else max(1, count // 10)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real shards (openstax/, coco/, treebank/): LOUPE_SHARED_DATA, else `shared/data` beside the checkout.

    The test is skipped where it is absent.
    """
    named = os.environ.get("LOUPE_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set LOUPE_SHARED_DATA to its folder")
    return folder


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray as if none ran in this process (other tests may have started one); a test that starts one fails."""
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda *_, **__: pytest.fail("Ray was started"))


@pytest.fixture(scope="session")
def ray_cluster():
    """One local Ray cluster with two CPUs for every test that needs Ray."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, logging_level="warning")
    yield ray
    ray.shutdown()
