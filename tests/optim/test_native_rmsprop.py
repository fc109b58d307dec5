"""RMSprop's kernel in C: right for any share-out among threads, and nothing lost where it cannot be compiled."""

import multiprocessing
import os
import shutil
import subprocess
import sys
from array import array
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn import Parameter

from bakeoff import optim
from bakeoff.optim import _fused, _native, _trial, _ways
from bakeoff.optim._tensors import Tensors

pytestmark = pytest.mark.usefixtures("c_compiler")

LARGE = _native.WORTH_COMPILING
OPTIONS = {
    "plain": {},
    "all": {"weight_decay": 0.1, "momentum": 0.9, "centered": True, "maximize": True, "eps": 1e-3},
    "decay": {"weight_decay": 0.1},
    "momentum": {"momentum": 0.9},
    "centered": {"centered": True, "eps": 1e-3},
    "centered and decay": {"centered": True, "eps": 1e-3, "weight_decay": 0.1},
    "momentum and decay": {"momentum": 0.9, "weight_decay": 0.1},
    "centered with momentum": {"centered": True, "momentum": 0.9, "eps": 1e-3},
}
SIZES = [LARGE + 3, 1, 17, 0, 5000]


@pytest.fixture
def _forget(monkeypatch, tmp_path):
    """As at the first use on a machine."""
    monkeypatch.setattr(_ways, "_agreed", {})
    monkeypatch.setattr(_trial, "_said", set())
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


def kernels_taken():
    return {kernel for (kernel, _), agreed in _ways._agreed.items() if agreed}


@pytest.mark.usefixtures("_forget")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_large_steps_take_it_and_follow_torch(options, dtype):
    found, expected = (
        train(optim.RMSprop(params(dtype), **options)),
        train(torch.optim.RMSprop(params(dtype), **options)),
    )
    tolerance = {torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    assert kernels_taken() == {_native.rmsprop}


@pytest.mark.parametrize("threads", [1, 2, 3, 7, 64, 1000])
def test_every_share_out_among_threads_gives_the_same_bits(threads):
    def step(threads):
        lists = [[p.detach() for p in params()] for _ in range(3)]
        lists[2] = [v.square() for v in lists[2]]
        tables = [array("q", [t.data_ptr() for t in of_kind]) for of_kind in lists]
        addresses = [table.buffer_info()[0] for table in (*tables, sizes)]
        call = _native._Step(*addresses[:3], None, None, addresses[3], len(SIZES), 0.1, 0.9, 1e-8, 0.1, 0.0, 0, 0)
        _native._library().rmsprop(_native.ctypes.byref(call), threads)
        return lists[0] + lists[2]

    sizes = array("q", SIZES)
    assert all(map(torch.equal, step(1), step(threads)))


def test_not_finite_values_stay_where_they_are():
    made = params()
    for bad, at in ((torch.nan, 5), (torch.inf, 70)):
        made[0].data[at] = bad
    optimizer = optim.RMSprop(made, weight_decay=0.1)
    train(optimizer, 2)
    assert made[0].isfinite().logical_not().nonzero().flatten().tolist() == [5, 70]
    assert all(param.isfinite().all() for param in made[1:])


def test_it_tells_autograd_that_it_wrote():
    made = params()
    kept = made[0] * made[0]
    train(optim.RMSprop(made), 1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        kept.sum().backward()


@pytest.mark.usefixtures("_forget")
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


@pytest.mark.usefixtures("_forget")
@pytest.mark.parametrize(
    "fault", ["no compiler", "compiler fails", "cache is a file", "library is corrupt", "wrong code"]
)
def test_without_it_steps_go_another_way(fault, tmp_path, monkeypatch, caplog):
    folder = tmp_path / "cache"
    if fault == "no compiler":
        monkeypatch.setenv("CC", "no-such-compiler")
    elif fault == "compiler fails":
        monkeypatch.setenv("CC", "false")
    elif fault == "cache is a file":
        folder.write_text("")
    elif fault == "library is corrupt":
        library = _native._cache_folder() / f"rmsprop-{_native._name(shutil.which('cc'))}.so"
        library.write_bytes(b"not a library")
    else:
        wrong = tmp_path / "_rmsprop.c"
        wrong.write_text(_native._SOURCE.read_text(encoding="utf-8").replace("+ eps)", "- eps)"), encoding="utf-8")
        monkeypatch.setattr(_native, "_SOURCE", wrong)
    options = OPTIONS["all"]
    found, expected = train(optim.RMSprop(params(), **options)), train(torch.optim.RMSprop(params(), **options))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    if fault in ("cache is a file", "library is corrupt"):  # compiled elsewhere, or anew
        assert kernels_taken() == {_native.rmsprop}
    else:
        assert kernels_taken() == {_fused.rmsprop}
        assert len(caplog.records) == 1


def _step_in_child(results):
    torch.set_num_threads(1)  # the OpenMP of torch's own operators does not outlive a fork
    results.put(train(optim.RMSprop(params()), 2)[0].detach().numpy().copy())


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_forked_process_takes_its_steps():
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


def test_small_steps_and_half_precision_compile_nothing():
    def kernels(*tensors):
        optimizer = optim.RMSprop(list(map(Parameter, tensors)))
        return optimizer._kernels(Tensors(list(tensors), list(tensors), {}, []), optimizer.param_groups[0])

    assert kernels(torch.zeros(LARGE - 1)) == (_fused.rmsprop,)
    assert kernels(torch.zeros(LARGE - 1), torch.zeros(1)) == (_native.rmsprop, _fused.rmsprop)
    assert kernels(torch.zeros(LARGE, dtype=torch.bfloat16)) == (_fused.rmsprop,)
