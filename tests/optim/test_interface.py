"""`bakeoff.optim` is used in other people's projects: it stands in for torch.optim and brings torch alone."""

import inspect
import subprocess
import sys

import pytest
import torch

from bakeoff import optim

from .public import OPTIMIZERS

PROGRAM = """
import sys
import torch

before = set(sys.modules)
import bakeoff.optim

print(*sorted(name for name in set(sys.modules) - before))
"""


def test_importing_the_optimizers_imports_torch_alone():
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    brought = result.stdout.split()
    assert "bakeoff.optim.adam" in brought
    assert [name for name in brought if name != "bakeoff" and not name.startswith("bakeoff.optim")] == []


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_arguments_and_defaults_are_those_of_torch(name):
    ours, theirs = (inspect.signature(getattr(o, name)).parameters for o in (optim, torch.optim))
    added = {"replicas", "fused"} if name == "RMSprop" else {"replicas"}
    assert {n: (p.kind, p.default) for n, p in ours.items() if n not in added} == {
        n: (p.kind, p.default) for n, p in theirs.items()
    }
    positional = [[p.name for p in o.values() if p.kind is p.POSITIONAL_OR_KEYWORD] for o in (ours, theirs)]
    assert positional[0] == positional[1]
    assert all(ours[name].kind is ours[name].KEYWORD_ONLY for name in added)
