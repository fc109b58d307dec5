"""Fixtures of several test folders: the command line, in this process.

`bakeoff("-m", "seed=0,1")` gives exit status, output and errors. A `conftest.py` imports what its tests use.
"""

import json
import logging
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from bakeoff import app


class Result(NamedTuple):
    status: int
    out: str
    err: str


class Trained(Result):
    """`runs` are the folders of those that the command trained, without the sweep's: `optimizer=adam/seed=0`."""

    runs: set[str]


@pytest.fixture
def bakeoff(tmp_path, monkeypatch, capfd):
    """Runs the command in an empty folder; `HYDRA_FULL_ERROR` is put back, so that errors stay one message."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["bakeoff", *arguments])
        monkeypatch.setattr(sys, "path", list(sys.path))
        status, root = 0, logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            app.main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        finally:
            root.handlers[:] = handlers  # Hydra's would write into the captured output of a test that has ended
            root.setLevel(level)
        return Result(status, *capfd.readouterr())

    yield run
    for name, module in list(sys.modules.items()):  # the next test has a `mine.py` of its own
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def trained(bakeoff, tmp_path):
    """As `bakeoff`, and says which runs were trained; every other run is as it was, byte for byte."""

    def run(*arguments):
        before = _runs(tmp_path)
        result = Trained(*bakeoff(*arguments))
        after = _runs(tmp_path)
        assert before.keys() <= after.keys()
        result.runs = {name for name, files in after.items() if before.get(name) != files}
        return result

    return run


@pytest.fixture
def outcomes(tmp_path):
    """Folder of a run, as in `trained` -> its record."""
    return lambda: {name: json.loads(path.read_text("utf-8")) for name, path in _records(tmp_path).items()}


def _records(root: Path) -> dict[str, Path]:
    return {"/".join(path.parts[-3:-1]): path for path in sorted(root.rglob("outcome.json"))}


def _runs(root: Path) -> dict[str, dict[str, bytes]]:
    """What each run has written: content and time of every file."""
    found = {}
    for name, record in _records(root).items():
        files = [path for path in record.parent.rglob("*") if path.is_file()]
        found[name] = {f"{path} {path.stat().st_mtime_ns}": path.read_bytes() for path in files}
    return found
