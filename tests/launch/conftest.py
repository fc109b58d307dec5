"""The command line, in this process: `bakeoff("-m", "seed=0,1")` -> exit status, output, errors."""

import sys
from typing import NamedTuple

import pytest

from bakeoff import app


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def bakeoff(tmp_path, monkeypatch, capfd):
    """Runs the command in an empty folder; `HYDRA_FULL_ERROR` is put back, so that errors stay one message."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bakeoff", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        status = 0
        try:
            app.main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return Result(status, *capfd.readouterr())

    return run
