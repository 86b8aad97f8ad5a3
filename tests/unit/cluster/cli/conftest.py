"""Runs `loupe` in this process."""

import sys
from collections.abc import Callable

import pytest

from cluster import cli


@pytest.fixture
def loupe(monkeypatch, capsys) -> Callable[..., tuple[int, str, str]]:
    """A function of the command's words that returns exit code, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["loupe", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
