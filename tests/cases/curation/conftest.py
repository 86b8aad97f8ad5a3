"""Fixtures of the cases of curation."""

import pytest
import ray


@pytest.fixture
def no_ray(monkeypatch):
    """Ray as if none ran in this process (other tests may have started one); a test that starts one fails."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda *_, **__: pytest.fail("Ray was started"))
