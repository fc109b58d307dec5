"""The Triton kernels: compiled where there is CUDA, in Triton's interpreter elsewhere."""

import importlib.util
from pathlib import Path

import pytest
import torch

import bakeoff.optim


def private_copy():
    """The module under another name, so that no other test meets kernels decorated for the interpreter."""
    path = Path(bakeoff.optim.__file__).with_name("_triton.py")
    spec = importlib.util.spec_from_file_location("private_copy_of_triton_kernels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def compilable_kernels():
    """Decorated for the compiler, GPU or not."""
    pytest.importorskip("triton", reason="Triton comes with torch for CUDA; pip install triton")
    return private_copy()


@pytest.fixture(scope="session")
def kernels():
    pytest.importorskip("triton", reason="Triton comes with torch for CUDA; pip install triton")
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            patch.setenv("TRITON_INTERPRET", "1")
        return private_copy()
