"""Workers of this machine: each sees its GPU alone. No GPU is needed to see what a worker is given."""

import json
import os
from collections import defaultdict

import joblib
import pytest

MODEL = """
import json, os
import torch

class Records(torch.nn.Sequential):
    def __init__(self, n_in, n_out):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))
        with open("seen.txt", "a") as file:
            file.write(json.dumps([os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")]) + "\\n")
"""
SWEEP = ["-m", "model._target_=mine.Records", "seed=0,1,2,3,4,5", "budget.steps=300"]


@pytest.mark.parametrize(
    ("chosen", "workers", "expected"),
    [("3,GPU-ab", "auto", {"3", "GPU-ab"}), ("2", "3", {"2"}), ("0,1", "1", {"0"})],
)
def test_each_worker_sees_one_gpu(bakeoff, tmp_path, monkeypatch, chosen, workers, expected):
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert bakeoff(*SWEEP, f"workers={workers}").status == 0
    seen = defaultdict(set)
    for line in (tmp_path / "seen.txt").read_text().splitlines():
        process, gpu = json.loads(line)
        seen[process].add(gpu)
    assert all(len(gpus) == 1 for gpus in seen.values())
    assert {gpu for gpus in seen.values() for gpu in gpus} == expected
    assert len(seen) == (len(chosen.split(",")) if workers == "auto" else int(workers))
    assert os.getpid() not in seen


def test_trainer_cpu_looks_for_none(bakeoff, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert bakeoff(*SWEEP, "trainer=cpu").status == 0
    seen = {json.loads(line)[0] for line in (tmp_path / "seen.txt").read_text().splitlines()}
    assert len(seen) == min(joblib.cpu_count(), 6)
