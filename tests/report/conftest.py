import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bakeoff.report.records import Record


def outcome(seed=0, accuracy=0.9, status="completed", arm=None, **changes):
    """An `outcome.json` as a run writes it."""
    ended = status == "completed"
    metrics = {
        "val/accuracy": {"final": accuracy, "best": accuracy, "best_step": 500},
        "val/loss": {"final": 0.3},
    }
    if ended and accuracy is not None:
        metrics["test/accuracy"] = {"final": accuracy - 0.01}
    error = {"type": "ValueError", "message": "no", "step": None, "traceback": None}
    return {
        "schema": 1,
        "status": status,
        "arm": {} if arm is None else arm,
        "seed": seed,
        "identity": f"id{seed}",
        "metrics": metrics,
        "steps": 600,
        "epochs": 20,
        "samples": 76800,
        "seconds": 1.5,
        "device": "cpu",
        "threads": 1,
        "versions": {"torch": "2.15.0"},
        "started": "2026-11-22T10:00:00Z",
        "ended": "2026-11-22T10:00:02Z",
        "overrides": [],
        "error": error if status in {"diverged", "failed"} else None,
    } | changes


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """Write one run folder under `tmp_path`; `content`, text or bytes, takes the place of the outcome."""

    def write(folder: str, seed: int = 0, content=None, **fields) -> Path:
        run = tmp_path / folder / f"seed={seed}"
        run.mkdir(parents=True)
        content = json.dumps(outcome(seed, **fields)) if content is None else content
        data = content if isinstance(content, bytes) else content.encode()
        (run / "outcome.json").write_bytes(data)
        return run

    return write


@pytest.fixture
def make_record() -> Callable[..., Record]:
    """A record made by hand: `make_record("adam", 1, 0.9, steps=300)` is seed 1 of `optimizer=adam`."""

    def make(folder: str, seed: int = 0, accuracy=0.9, status="completed", arm=None, **changes) -> Record:
        fields = outcome(seed, accuracy, status, {"optimizer": folder} if arm is None else arm, **changes)
        return Record(path=Path("sweep", folder, f"seed={seed}"), **fields)

    return make


@pytest.fixture
def make_arm(make_record):
    """Records of one arm, one a value; a text in place of a value is the status of a run that has none."""

    def make(folder, *values, **changes):
        return [
            make_record(folder, seed, None, value, **changes)
            if isinstance(value, str)
            else make_record(folder, seed, value, **changes)
            for seed, value in enumerate(values)
        ]

    return make
