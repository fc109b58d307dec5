"""The Triton kernels against NumPy in float64: compiled where there is CUDA, in Triton's interpreter elsewhere."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

triton = pytest.importorskip("triton", reason="Triton comes with torch for CUDA; pip install triton")

# elements that a block masks out, and what diverges on purpose, divide by 0
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

DEVICE = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
SIZES = [1, 15, 1025, 2048, 0, 6143]
DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
# relative to the largest value: rounding of math in float64 or float32, then half an ulp of the stored type; a whole
# one for bfloat16 in the interpreter, which cuts digits off
TOLERANCE = {torch.float64: 1e-14, torch.float32: 4e-7, torch.float16: 2**-11}
TOLERANCE[torch.bfloat16] = 2**-7 if DEVICE.type == "cpu" else 2**-8


def sgd(p, g, b=None, *, lr, momentum, dampening, weight_decay, nesterov, maximize, first_step):
    g = -g if maximize else g
    g = g + weight_decay * p if weight_decay else g
    if b is not None and momentum:
        b = g if first_step else momentum * b + (1 - dampening) * g
        g = g + momentum * b if nesterov else b
    return p - lr * g, b


def rmsprop(p, g, v, m=None, b=None, *, lr, alpha, eps, weight_decay, momentum, maximize):
    g = -g if maximize else g
    g = g + weight_decay * p if weight_decay else g
    v = alpha * v + (1 - alpha) * g**2
    m = None if m is None else alpha * m + (1 - alpha) * g
    step = g / (np.sqrt(v if m is None else np.maximum(v - m**2, 0)) + eps)
    if b is not None and momentum:
        step = b = momentum * b + step
    return p - lr * step, v, m, b


def adam(p, g, m, v, v_max=None, *, t, lr, beta1, beta2, eps, weight_decay, maximize, decoupled_weight_decay):
    g = -g if maximize else g
    if decoupled_weight_decay:
        p = p * (1 - lr * weight_decay)
    elif weight_decay:
        g = g + weight_decay * p
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    v_max = None if v_max is None else np.maximum(v_max, v)
    v_hat = (v if v_max is None else v_max) / -np.expm1(t * np.log(beta2))
    return p - lr * (m / -np.expm1(t * np.log(beta1))) / (np.sqrt(v_hat) + eps), m, v, v_max


SGD = {"lr": 0.1, "momentum": 0.0, "weight_decay": 0.0}
SGD_FLAGS = {"dampening": 0.0, "nesterov": False, "maximize": False, "first_step": False}
RMSPROP = {"lr": 0.01, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.0, "momentum": 0.0}
ADAM = {"lr": 0.01, "beta1": 0.9, "beta2": 0.999, "eps": 1e-6, "weight_decay": 0.0}
ADAM_FLAGS = {"maximize": False, "decoupled_weight_decay": False}


class Case:
    """An update with its options: oracle, states in use (of those it could have), per-replica values and flags."""

    def __init__(self, name, oracle, states, values, flags):
        self.name, self.oracle, self.states, self.values, self.flags = name, oracle, states, values, flags


CASES = {
    "sgd": Case("sgd_", sgd, [0], SGD, SGD_FLAGS),
    "sgd decay maximize": Case("sgd_", sgd, [0], {**SGD, "weight_decay": 0.1}, {**SGD_FLAGS, "maximize": True}),
    "sgd first": Case("sgd_", sgd, [1], {**SGD, "momentum": 0.9}, {**SGD_FLAGS, "dampening": 0.3, "first_step": True}),
    "sgd dampened": Case("sgd_", sgd, [1], {**SGD, "momentum": 0.9}, {**SGD_FLAGS, "dampening": 0.3}),
    "sgd nesterov": Case("sgd_", sgd, [1], {**SGD, "momentum": 0.9}, {**SGD_FLAGS, "nesterov": True}),
    "rmsprop": Case("rmsprop_", rmsprop, [1, 0, 0], RMSPROP, {"maximize": False}),
    "rmsprop centered": Case("rmsprop_", rmsprop, [1, 1, 0], RMSPROP, {"maximize": False}),
    "rmsprop momentum": Case("rmsprop_", rmsprop, [1, 0, 1], {**RMSPROP, "momentum": 0.9}, {"maximize": True}),
    "rmsprop all": Case(
        "rmsprop_", rmsprop, [1, 1, 1], {**RMSPROP, "momentum": 0.9, "weight_decay": 0.1}, {"maximize": False}
    ),
    "adam": Case("adam_", adam, [1, 1, 0], ADAM, ADAM_FLAGS),
    "adam decay": Case("adam_", adam, [1, 1, 0], {**ADAM, "weight_decay": 0.1}, {**ADAM_FLAGS, "maximize": True}),
    "adamw": Case(
        "adam_", adam, [1, 1, 0], {**ADAM, "weight_decay": 0.1}, {**ADAM_FLAGS, "decoupled_weight_decay": True}
    ),
    "amsgrad": Case("adam_", adam, [1, 1, 1], {**ADAM, "beta1": 0.3}, ADAM_FLAGS),
}
REPRESENTATIVE = ["sgd nesterov", "rmsprop all", "amsgrad"]


def tensors(case, sizes, dtype=torch.float32, seed=0):
    """Parameters, gradients and each state's list, as after some steps: second moments above squares of the first."""
    generator = torch.Generator().manual_seed(seed)
    lists = [[torch.randn(n, generator=generator, dtype=torch.float64) for n in sizes] for _ in range(2)]
    for index, used in enumerate(case.states):
        made = [torch.randn(n, generator=generator, dtype=torch.float64) for n in sizes] if used else []
        second_moment = (case.name, index) in [("rmsprop_", 0), ("adam_", 1), ("adam_", 2)]
        bounded = case.name == "rmsprop_" and index == 1
        lists.append([1 + t.square() if second_moment else t.tanh() / 2 if bounded else t for t in made])
    return [[t.to(DEVICE, dtype) for t in ts] for ts in lists]


def clone(lists):
    return [[t.clone() for t in ts] for ts in lists]


def run(kernels, case, lists, *, values=(), t=3.0, replicas=1, grad_scale=None, found_inf=None, **overrides):
    """The step in place; `values`, of each replica, over the case's own."""
    per_replica = [{**case.values, **v} for v in (values or [{}] * replicas)]
    arguments = {name: [v[name] for v in per_replica] for name in case.values}
    steps = [[torch.tensor(t, device=DEVICE) for _ in lists[0]]] if case.name == "adam_" else []
    arguments |= {"replicas": replicas, "grad_scale": grad_scale, "found_inf": found_inf, **case.flags, **overrides}
    getattr(kernels, case.name)(*lists, *steps, **arguments)


def expected(case, lists, t=3.0, **values):
    """What each tensor should become, in float64, list by list but for the gradients."""
    used = [0, 1, *(2 + index for index, used in enumerate(case.states) if used)]
    arguments = {**case.values, **case.flags, **values, **({"t": t} if case.name == "adam_" else {})}
    results = []
    for i in range(len(lists[0])):
        inputs = [lists[k][i].double().cpu().numpy() if k in used else None for k in range(len(lists))]
        results.append(case.oracle(*inputs, **arguments))
    return [[r[k] for r in results] for k in range(len(lists) - 1)]


def assert_close(lists, wanted, dtype):
    for ours, theirs in zip([lists[0], *lists[2:]], wanted, strict=True):
        for tensor, array in zip(ours, theirs, strict=False):
            scale = np.abs(array).max(initial=1.0)
            np.testing.assert_allclose(
                tensor.double().cpu().numpy() / scale, array / scale, rtol=0, atol=TOLERANCE[dtype]
            )


def assert_same(one, other):
    for a, b in zip(itertools.chain(*one), itertools.chain(*other), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_follows_the_equations(kernels, case, dtype):
    lists = tensors(case, SIZES, dtype)
    wanted, grads = expected(case, lists), [g.clone() for g in lists[1]]
    run(kernels, case, lists)
    assert_close(lists, wanted, dtype)
    assert_same([lists[1]], [grads])


def test_a_variance_below_zero_is_zero_and_nan_stays_nan(kernels):
    """Centered: v - m² falls below 0 by rounding."""
    case = CASES["rmsprop centered"]
    lists = [[torch.full((3,), value, device=DEVICE)] for value in (1.0, 1.0, 0.5, 1.0)] + [[]]
    lists[2][0][2] = float("nan")
    run(kernels, case, lists, values=[{"lr": 0.5, "alpha": 0.5, "eps": 4.0}])
    assert lists[0][0].tolist()[:2] == [1 - 0.5 / 4.0] * 2
    assert lists[0][0][2].isnan()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("t", [1.0, 4.0, 490.0, 600.0, 1e6])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.99999), (0.0, 0.0)], ids=str)
def test_bias_correction_keeps_its_digits(kernels, betas, t, dtype):
    """From zero moments θ moves by γ m̂ / √v̂, all of which is bias correction; t = 1 moves it by γ whatever β."""
    beta1, beta2 = betas
    lists = [[torch.zeros(3, device=DEVICE, dtype=dtype)] for _ in range(5)]
    lists[1][0] += 1
    lists[4] = []
    wanted = -(1 - beta1) / -np.expm1(t * np.log(beta1)) / np.sqrt((1 - beta2) / -np.expm1(t * np.log(beta2)))
    run(kernels, CASES["adam"], lists, values=[{"lr": 1.0, "beta1": beta1, "beta2": beta2, "eps": 0.0}], t=t)
    rounding = {torch.float32: 1e-6, torch.float64: 2e-15}[dtype]
    np.testing.assert_allclose(lists[0][0].cpu().numpy(), wanted, rtol=rounding)


VALUES = {
    "sgd nesterov": [{"momentum": 0.9}, {"momentum": 0.0}, {"lr": 1.0, "momentum": 0.5, "weight_decay": 0.1}],
    "rmsprop all": [{"momentum": 0.9}, {"momentum": 0.0, "alpha": 0.5}, {"lr": 1.0, "eps": 0.1, "weight_decay": 0.0}],
    "amsgrad": [{"beta1": 0.9}, {"beta2": 0.5, "eps": 0.1}, {"lr": 1.0, "beta1": 0.0, "weight_decay": 0.1}],
}


def slices(lists, replica, replicas):
    return [[t.view(replicas, -1)[replica].clone() for t in ts] for ts in lists]


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_each_replica_steps_as_if_alone(kernels, name):
    case, values = CASES[name], VALUES[name]
    lists = tensors(case, [3 * n for n in SIZES])
    alone = [slices(lists, k, 3) for k in range(3)]
    run(kernels, case, lists, values=values, replicas=3)
    for k in range(3):
        run(kernels, case, alone[k], values=[values[k]])
        assert_same(slices(lists, k, 3), alone[k])


@pytest.mark.parametrize("name", REPRESENTATIVE)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_replica_that_diverged_does_not_change_the_others(kernels, name, bad):
    case = CASES[name]
    lists = tensors(case, [3 * n for n in SIZES])
    clean = clone(lists)
    for tensor in itertools.chain(*lists):
        tensor.view(3, -1)[1] = bad
    run(kernels, case, lists, values=VALUES[name], replicas=3)
    run(kernels, case, clean, values=VALUES[name], replicas=3)
    for k in (0, 2):
        assert_same(slices(lists, k, 3), slices(clean, k, 3))
    assert not slices(lists, 1, 3)[0][0].isfinite().any()


@pytest.mark.parametrize("name", ["sgd nesterov", "rmsprop all"])
def test_without_momentum_a_replica_steps_like_one_without_a_buffer(kernels, name):
    case = CASES[name]
    lists = tensors(case, [2 * n for n in SIZES])
    for buffer in lists[-1]:
        buffer.view(2, -1)[1] = float("inf")  # 0 * inf must not come near θ
    plain = [*slices(lists, 1, 2)[:-1], []]
    run(kernels, case, lists, values=[{}, {"momentum": 0.0}], replicas=2)
    run(kernels, case, plain, values=[{"momentum": 0.0}])
    assert_same(slices(lists, 1, 2)[:-1], plain[:-1])
    assert all(buffer.isinf().all() for buffer in slices(lists, 1, 2)[-1])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_without_decay_an_infinite_weight_does_not_reach_the_gradient(kernels, case):
    lists = tensors(case, [5])
    lists[0][0][2] = float("inf")
    run(kernels, case, lists, values=[{"weight_decay": 0.0}])
    assert lists[0][0][2] == float("inf")
    assert all(torch.isfinite(ts[0]).all() for ts in lists[1:] if ts)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_gradients_are_divided_by_their_scale_in_place(kernels, name, dtype):
    case = CASES[name]
    unscaled = tensors(case, SIZES, dtype)
    lists = clone(unscaled)
    for grad in lists[1]:
        grad *= 4
    run(kernels, case, lists, grad_scale=torch.tensor([4.0], device=DEVICE), found_inf=torch.tensor(0.0, device=DEVICE))
    run(kernels, case, unscaled)
    assert_same(lists, unscaled)


@pytest.mark.parametrize("name", REPRESENTATIVE)
@pytest.mark.parametrize("replicas", [1, 3])
def test_an_overflow_skips_the_step(kernels, name, replicas):
    lists = tensors(CASES[name], [3, 6144])
    before = clone(lists)
    flags = {"grad_scale": torch.tensor(2.0, device=DEVICE), "found_inf": torch.tensor([1.0], device=DEVICE)}
    run(kernels, CASES[name], lists, replicas=replicas, **flags)
    assert_same(lists, before)


@pytest.mark.parametrize("name", REPRESENTATIVE)
@pytest.mark.parametrize(
    "lr", [torch.tensor(0.5), torch.tensor([0.5]), torch.tensor([0.5, 0.25], dtype=torch.float64)], ids=str
)
def test_learning_rates_on_the_device(kernels, name, lr):
    lists = tensors(CASES[name], [2 * n for n in SIZES])
    floats = clone(lists)
    run(kernels, CASES[name], lists, replicas=2, lr=lr.to(DEVICE))
    run(kernels, CASES[name], floats, replicas=2, lr=lr.expand(2).tolist() if lr.numel() == 1 else lr.tolist())
    assert_same(lists, floats)


@pytest.mark.parametrize("name", REPRESENTATIVE)
def test_tensors_that_start_between_16_bytes(kernels, name):
    case = CASES[name]
    lists = tensors(case, [6143])
    shifted = [[torch.cat([t.new_full((1,), 7.0), t, t.new_full((1,), 7.0)]) for t in ts] for ts in lists]
    run(kernels, case, [[t[1:-1] for t in ts] for ts in shifted])
    run(kernels, case, lists)
    assert_same([[t[1:-1] for t in ts] for ts in shifted], lists)
    assert all(t[0] == t[-1] == 7 for t in itertools.chain(*shifted))


def test_the_first_buffer_is_written_unread(kernels):
    case = CASES["sgd first"]
    lists = tensors(case, SIZES)
    for buffer in lists[2]:
        buffer.fill_(float("nan"))
    run(kernels, case, lists, values=[{"momentum": 0.9}])
    assert_same([lists[2]], [lists[1]])


def test_a_table_is_kept_until_an_address_a_size_or_a_value_changes(kernels):
    """The same memory cut into other tensors, then swapped, then shared out to replicas, with tables of all kept."""
    case, memory = CASES["sgd nesterov"], torch.randn(3, 40, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    whole = [[row] for row in memory]
    halves = [[row[:20], row[20:]] for row in memory]
    swapped = [[row[20:], row[:20]] for row in memory]
    uneven = [[row[:4], row[20:]] for row in memory]
    kernels._rows.cache_clear()
    kernels._values.cache_clear()
    for _ in range(2):
        for lists in (whole, halves, swapped, uneven, [halves[0], swapped[1], halves[2]]):
            for values in ([{}], [{"lr": 0.2}]):
                wanted = expected(case, clone(lists), **values[0])
                run(kernels, case, lists, values=values)
                assert_close(lists, wanted, torch.float32)
        before = slices(whole, 1, 2)
        run(kernels, case, whole, values=[{}, {"lr": 0.0, "momentum": 0.0}], replicas=2)
        assert_same([slices(whole, 1, 2)[0]], [before[0]])
    assert (kernels._rows.cache_info().misses, kernels._values.cache_info().misses) == (6, 3)
    assert kernels._rows.cache_info().hits == 22 - 6


def test_only_a_row_of_aligned_tensors_moves_16_bytes_at_a_time(kernels):
    context = torch.device("cpu"), 0, 0
    aligned = [kernels._rows(addresses, (8,), 1, context)[0, 4].item() for addresses in [(16, 32, 0), (16, 40, 0)]]
    assert aligned == [1, 0]
    assert kernels._rows((16, 32, 48, 64, 0, 100), (8,), 1, context)[0, 4] == 1  # 100: steps are read one by one


def test_amsgrad_remembers_nan(kernels):
    lists = tensors(CASES["amsgrad"], [3])
    lists[1][0][1] = float("nan")
    run(kernels, CASES["amsgrad"], lists)
    assert lists[4][0].isnan().tolist() == [False, True, False]


def test_autograd_sees_that_weights_changed(kernels):
    lists = tensors(CASES["sgd"], [3])
    weight = lists[0][0].requires_grad_()
    loss = weight.square().sum()
    run(kernels, CASES["sgd"], lists)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_autograd_sees_that_gradients_were_unscaled(kernels):
    lists = tensors(CASES["sgd"], [3])
    before = lists[1][0]._version
    run(kernels, CASES["sgd"], lists)
    assert lists[1][0]._version == before
    run(kernels, CASES["sgd"], lists, grad_scale=torch.tensor(2.0, device=DEVICE))
    assert lists[1][0]._version > before


def test_no_tensors_no_launch(kernels):
    run(kernels, CASES["adam"], [[], [], [], [], []])
    run(kernels, CASES["sgd"], [[torch.empty(0, device=DEVICE)], [torch.empty(0, device=DEVICE)], []])


FLAGS = {
    "_sgd": {"MOMENTUM": True, "NESTEROV": True, "FIRST_STEP": False, "MAXIMIZE": True},
    "_rmsprop": {"CENTERED": True, "MOMENTUM": True, "MAXIMIZE": True},
    "_adam": {"AMSGRAD": True, "DECOUPLED": True, "MAXIMIZE": True},
}


@pytest.mark.parametrize("type_name", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("name", FLAGS)
def test_compiles_for_cuda_and_moves_16_bytes_at_a_time(name, type_name, tmp_path, monkeypatch, compilable_kernels):
    """No GPU is needed to compile; the interpreter takes code that the compiler does not."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    element, math = getattr(triton.language, type_name), "fp64" if type_name == "float64" else "fp32"
    kernel = getattr(compilable_kernels, name)
    pointers = {"rows": "*i64", "row_of_block": "*i32", "hyperparameters": f"*{math}", "lr": "*fp32"}
    constants = {"TYPE": element, "LR_STRIDE": 1, "grad_scale": None, "found_inf": None, **FLAGS[name]}
    source = triton.compiler.ASTSource(
        kernel,
        {argument: pointers.get(argument, "constexpr") for argument in kernel.arg_names},
        {(kernel.arg_names.index(argument),): value for argument, value in constants.items()},
    )
    target = triton.backends.compiler.GPUTarget("cuda", 90, 32)
    ptx = triton.compile(source, target=target, options={"num_warps": 8, "enable_fp_fusion": False}).asm["ptx"]
    assert ("st.global.v2.b64" if math == "fp64" else "st.global.v4.b32") in ptx


def test_importing_the_optimizers_does_not_import_triton():
    program = "import bakeoff.optim, sys; print('bakeoff.optim._triton' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"
