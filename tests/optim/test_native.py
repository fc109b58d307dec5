"""RMSprop's kernel in C: correct for any number of threads, and replaced by lists where it cannot be compiled."""

import ctypes
import multiprocessing
import os
import subprocess
import sys
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim
from bakeoff.optim import _dispatch, _native, _verify

pytestmark = pytest.mark.usefixtures("c_compiler")

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "all": {"weight_decay": 0.1, "momentum": 0.9, "centered": True, "maximize": True, "eps": 1e-3},
    "decay": {"weight_decay": 0.1},
    "momentum": {"momentum": 0.9},
    "centered": {"centered": True, "eps": 1e-3},
    "centered and decay": {"centered": True, "eps": 1e-3, "weight_decay": 0.1},
    "momentum and decay": {"momentum": 0.9, "weight_decay": 0.1},
    "centered with momentum": {"centered": True, "momentum": 0.9, "eps": 1e-3},
}
SIZES = [2 * _native._MIN_ELEMENTS_PER_THREAD + 3, 1, 17, 0, 5000]


@pytest.fixture
def _as_on_a_new_machine(monkeypatch, tmp_path):
    monkeypatch.setattr(_dispatch, "_verified", {})
    monkeypatch.setattr(_verify, "_warned", set())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _native._library.cache_clear()
    yield
    _native._library.cache_clear()


def params(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(size, generator=generator, dtype=torch.float64).to(dtype)) for size in SIZES]


def train(optimizer, steps=4):
    made = optimizer.param_groups[0]["params"]
    for t in range(steps):
        generator = torch.Generator().manual_seed(100 + t)
        for param in made:
            param.grad = torch.randn(param.shape, generator=generator, dtype=torch.float64).to(param.dtype)
        optimizer.step()
    return made


def kernels_used():
    return {kernel for (kernel, _), matches in _dispatch._verified.items() if matches}


@pytest.mark.usefixtures("_as_on_a_new_machine")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_it_is_used_and_follows_torch(options, dtype):
    found, expected = (
        train(optim.RMSprop(params(dtype), **options)),
        train(torch.optim.RMSprop(params(dtype), **options)),
    )
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    assert kernels_used() == {_native.rmsprop}


@pytest.mark.parametrize("threads", [1, 2, 3, 7, 64, 1000])
def test_every_number_of_threads_gives_the_same_bits(threads):
    def step(threads):
        lists = [[p.detach() for p in params()] for _ in range(3)]
        lists[2] = [v.square() for v in lists[2]]
        tables = [array("q", [t.data_ptr() for t in of_kind]) for of_kind in lists]
        addresses = [table.buffer_info()[0] for table in (*tables, sizes)]
        call = _native._Arguments(*addresses[:3], None, None, addresses[3], len(SIZES), 0.1, 0.9, 1e-8, 0.1, 0.0, 0, 0)
        _native._library().rmsprop(ctypes.byref(call), threads)
        return lists[0] + lists[2]

    sizes = array("q", SIZES)
    assert all(map(torch.equal, step(1), step(threads)))


def test_values_that_are_not_finite_do_not_spread():
    made = params()
    for bad, at in ((torch.nan, 5), (torch.inf, 70)):
        made[0].data[at] = bad
    optimizer = optim.RMSprop(made, weight_decay=0.1)
    train(optimizer, 2)
    assert made[0].isfinite().logical_not().nonzero().flatten().tolist() == [5, 70]
    assert all(param.isfinite().all() for param in made[1:])


def test_it_notifies_autograd_of_its_writes():
    made = params()
    kept = made[0] * made[0]
    train(optim.RMSprop(made), 1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kept.sum().backward()


@pytest.mark.usefixtures("_as_on_a_new_machine")
def test_it_is_compiled_once_for_all_processes(tmp_path):
    program = (
        "import torch; from bakeoff import optim\n"
        "p = torch.nn.Parameter(torch.ones(100000)); p.grad = torch.ones(100000)\n"
        "optim.RMSprop([p]).step(); print(p[0].item())"
    )
    run = [sys.executable, "-c", program]
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(subprocess.run, run, capture_output=True, text=True, check=True) for _ in range(2)]
        assert [round(float(future.result().stdout), 6) for future in both] == [0.9, 0.9]
    [library] = (tmp_path / "cache" / "bakeoff").iterdir()
    written = library.stat().st_mtime_ns
    train(optim.RMSprop(params()), 1)
    assert library.stat().st_mtime_ns == written


@pytest.mark.usefixtures("_as_on_a_new_machine")
@pytest.mark.parametrize(
    "fault", ["no compiler", "compiler fails", "cache is a file", "library is corrupt", "wrong code"]
)
def test_where_it_cannot_be_used_lists_replace_it(fault, c_compiler, tmp_path, monkeypatch, caplog):
    folder = tmp_path / "cache"
    if fault == "no compiler":
        monkeypatch.setenv("CC", "no-such-compiler")
    elif fault == "compiler fails":
        monkeypatch.setenv("CC", "false")
    elif fault == "cache is a file":
        folder.write_text("")
    elif fault == "library is corrupt":
        library = _native._cache_folder() / f"rmsprop-{_native._fingerprint(c_compiler)}.so"
        library.write_bytes(b"not a library")
    else:
        wrong = tmp_path / "_rmsprop.c"
        wrong.write_text(_native._SOURCE.read_text(encoding="utf-8").replace("+ eps)", "- eps)"), encoding="utf-8")
        monkeypatch.setattr(_native, "_SOURCE", wrong)
    options = OPTIONS["all"]
    found, expected = train(optim.RMSprop(params(), **options)), train(torch.optim.RMSprop(params(), **options))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    if fault in ("cache is a file", "library is corrupt"):  # compiled elsewhere, or anew
        assert kernels_used() == {_native.rmsprop}
    else:
        assert kernels_used() == set()
        assert len(caplog.records) == 1


def _step_in_child(results):
    torch.set_num_threads(1)  # the OpenMP of torch's own operators does not outlive a fork
    results.put(train(optim.RMSprop(params()), 2)[0].detach().numpy().copy())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_forked_process_can_step():
    expected = train(optim.RMSprop(params()), 2)[0].detach()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=_step_in_child, args=(results,), daemon=True)
    child.start()
    try:
        found = torch.from_numpy(results.get(timeout=60))
    finally:
        child.kill()
        child.join()
    assert torch.equal(found, expected)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX owners and modes")
def test_a_cache_folder_that_others_may_write_to_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    open_to_all = tmp_path / "bakeoff"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    folder = _native._cache_folder()
    assert folder != open_to_all
    assert folder.stat().st_mode & 0o022 == 0
