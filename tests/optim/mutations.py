"""Break each optimizer in one place after the other and see that a test fails.

    python tests/optim/mutations.py            # all; several minutes
    python tests/optim/mutations.py adam.py    # those of one file

Every break is made in a copy of the package; a break that no test notices is printed as SURVIVED and makes the exit
status 1, and so does one whose text is no longer in the source.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# The quick ones first: the first failure ends a trial.
TESTS = [
    "test_sgd.py",
    "test_rmsprop.py",
    "test_adam.py",
    "test_optim_contract.py",
    "test_optim_state.py",
    "test_optim_interface.py",
    "test_ways.py",
    "test_misfits.py",
    "test_optim_cuda.py",
    "test_replicas.py",
    "test_mixed_precision.py",
    "test_where_torch_is_wrong.py",
    "test_checkpoints_with_torch.py",
    "test_triton.py",
    "test_drop_in.py",
    "test_optim_db.py",
    "test_optim_properties.py",
    "test_native_rmsprop.py",
    "test_compiled_and_sharded.py",
]


class Break(NamedTuple):
    """One wrong line."""

    file: str
    right: str
    wrong: str


BREAKS = [
    # the definitions
    Break("sgd.py", "g = -grad if maximize else grad", "g = grad"),
    Break("sgd.py", "g = g + weight_decay * param", "g = g - weight_decay * param"),
    Break("sgd.py", "(1 - dampening) * g", "g"),
    Break("sgd.py", "g + momentum * b if nesterov else b", "b"),
    Break("sgd.py", "b = g if b is None else", "b = (1 - dampening) * g if b is None else"),
    Break("sgd.py", "return param - lr * d, b", "return param + lr * d, b"),
    Break("rmsprop.py", "alpha * v + (1 - alpha) * g**2", "(1 - alpha) * v + alpha * g**2"),
    Break("rmsprop.py", "g / (variance.sqrt() + eps)", "g / (variance + eps).sqrt()"),
    Break("rmsprop.py", "variance = v - m**2", "variance = v"),
    Break("rmsprop.py", "m = m.lerp(g, 1 - alpha)", "m = m.lerp(g, alpha)"),
    Break("rmsprop.py", "step = b = momentum * b + step", "step = b = momentum * b + lr * step"),
    Break("rmsprop.py", "g = g + weight_decay * param", "g = g"),
    Break("rmsprop.py", "g = -grad if maximize else grad", "g = grad"),
    Break("adam.py", "m = beta1 * m + (1 - beta1) * g", "m = beta2 * m + (1 - beta1) * g"),
    Break("adam.py", "v = v_hat = beta2 * v + (1 - beta2) * g**2", "v = v_hat = beta1 * v + (1 - beta2) * g**2"),
    Break("adam.py", "m_hat = m / (1 - beta1**t)", "m_hat = m"),
    Break("adam.py", "v_hat = v_hat / (1 - beta2**t)", "v_hat = v_hat"),
    Break("adam.py", "m_hat / (v_hat.sqrt() + eps)", "m_hat / (v_hat + eps).sqrt()"),
    Break("adam.py", "v_max = v_hat = v_max.maximum(v)", "v_max = v_max.maximum(v)"),
    Break("adam.py", "param = param * (1 - lr * weight_decay)", "param = param * (1 - weight_decay)"),
    Break("adam.py", "if decoupled_weight_decay:\n", "if not decoupled_weight_decay:\n"),
    Break("adam.py", "g = -grad if maximize else grad", "g = grad"),
    Break("adam.py", 'group["decoupled_weight_decay"] = True', "pass"),
    # operations on lists
    Break("_foreach.py", 'alpha=1 - group["dampening"]', "alpha=1"),
    Break("_foreach.py", "torch._foreach_copy_(buffers, grads)", "pass"),
    Break("_foreach.py", 'if group["nesterov"] else buffers', "if False else buffers"),
    Break("_foreach.py", "torch._foreach_lerp_(m, grads, 1 - alpha)", "torch._foreach_lerp_(m, grads, alpha)"),
    Break("_foreach.py", 'torch._foreach_add_(root, group["eps"])\n    if momentum', "if momentum"),
    Break("_foreach.py", "sizes = [lr / (1 - beta1**t) for t in counts]", "sizes = [lr for t in counts]"),
    Break("_foreach.py", "(1 - beta2**t) ** 0.5 for t in counts", "(1 - beta2**t) for t in counts"),
    Break("_foreach.py", 'decays=not group["decoupled_weight_decay"]', "decays=True"),
    Break("_foreach.py", "torch._foreach_maximum_(v_max, v)", "pass"),
    # fused kernels
    Break("_fused.py", "_LATE = torch.tensor(2.0**62", "_LATE = torch.tensor(2.0"),
    Break("_fused.py", "if any(target.nbytes % _LINE for target in targets):", "if False:"),
    Break("_fused.py", "_ALMOST_ONE = 1 - 2.0**-53", "_ALMOST_ONE = 0.999"),
    Break("_fused.py", 'group["momentum"] - 1, "maximize": False', 'group["momentum"], "maximize": False'),
    Break("_fused.py", "grad.div_(grad_scale)", "grad.mul_(grad_scale)"),
    Break("_fused.py", "is_first_step=tensors.first", "is_first_step=False"),
    Break("_fused.py", "[copies[count] for count in counts]", "[copies[counts[0]] for count in counts]"),
    # who goes which way
    Break("_ways.py", "== sizes for of_kind in lists[1:]", "== sizes for of_kind in lists[:1]"),
    Break("_ways.py", "tensor.stride() == param.stride() for tensor in of_param", "True for tensor in of_param"),
    Break("_ways.py", "if size != 1 and stride != elements:", "if False:"),
    Break("_trial.py", "if not same:\n", "same = True\n    if not same:\n"),
    Break("_ways.py", "if optimizer.refuses_sparse and", "if False and"),
    Break("_ways.py", 'len(set(map(attrgetter("dtype"), params))) == 1', "True"),
    Break("_ways.py", "(t.dtype, t.device) == (params[0].dtype, params[0].device) for t", "True for t"),
    Break("_ways.py", "if replicas is not None and param.stride(0) * replicas != param.numel():", "if False:"),
    Break("_ways.py", 'if group["differentiable"] or not', "if not"),
    # state, groups, mixed precision
    Break("_state.py", "return state.clone()", "return state"),
    Break("_optimizer.py", 'if self.defaults["fused"]:', "if True:"),
    Break("_optimizer.py", 'if self.defaults["fused"]:', "if False:"),
    Break(
        "_optimizer.py", "if found_inf.item():\n                return loss", "if False:\n                return loss"
    ),
    Break("_optimizer.py", "del values[name]", "pass"),
    Break("_optimizer.py", "group.setdefault(name, self._default(name))", "pass"),
    Break("_optimizer.py", 'values["step"] = new_count(values["step"], param, group)', "pass"),
    Break("_step.py", "grad.div_(grad_scale)", "pass"),
    Break("_optimizer.py", "self._check({**self.defaults, **param_group})", "pass"),
    Break("_step.py", 'group = {**group, "lr": group["lr"].squeeze()}', "pass"),
    Break("_optimizer.py", "with torch.enable_grad():", "with torch.no_grad():"),
    Break(
        "_tensors.py",
        'return tensor.clone() if group["differentiable"] else in_single(tensor)',
        "return in_single(tensor)",
    ),
    Break("_tensors.py", "grad.resolve_conj() if grad.is_complex() else grad", "grad"),
    Break("_tensors.py", "if waiting:\n            yield", "if False:\n            yield"),
    # replicas
    Break("_replicas.py", 'differing["lr"] = differing["lr"] * group["lr"]', "pass"),
    Break("_replicas.py", "yield tensors.replica(k), own(group, k)", "yield tensors.replica(k), own(group, 0)"),
    Break("_replicas.py", '**({"lr": 1.0} if "lr" in plain else {})', "**{}"),
    Break("_replicas.py", "param.shape[0] != replicas", "False"),
    # bounds
    Break("_bounds.py", "if not value >= 0:", "if value < 0:"),
    Break("_bounds.py", "if not 0 <= value < 1:", "if not 0 <= value <= 1:"),
    Break("_bounds.py", "lr.numel() != 1", "False"),
    # Triton's kernels
    Break("_triton.py", "g = _divide(g, _sqrt(v) + eps)", "g = _divide(g, _sqrt(v + eps))"),
    Break("_triton.py", "v -= m * m", "v -= m"),
    Break("_triton.py", "m = _lerp(m, g, beta1, weight1)", "m = _lerp(m, g, beta2, weight2)"),
    Break("_triton.py", "_sqrt(_one_minus_power(log_beta2, t, TERMS))", "1.0"),
    Break("_triton.py", "copy = tl.where(tl.load(found_inf) == 0, copy, 2)", "copy = copy"),
    Break("_triton.py", "values = hyperparameters + replica * H", "values = hyperparameters"),
]


def trial(number: int) -> str:
    """What became of one break."""
    file, right, wrong = BREAKS[number]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "src" / "bakeoff", Path(folder, "src", "bakeoff"))
        shutil.copytree(ROOT / "tests" / "optim", Path(folder, "tests", "optim"))
        shutil.copy(ROOT / "tests" / "conftest.py", Path(folder, "tests"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, folder)
        target = Path(folder, "src", "bakeoff", "optim", file)
        text = target.read_text(encoding="utf-8")
        if right not in text:
            return "NOT IN THE SOURCE"
        target.write_text(text.replace(right, wrong), encoding="utf-8")
        tests = [f"tests/optim/{name}" for name in TESTS if Path(folder, "tests", "optim", name).exists()]
        environment = {**os.environ, "PYTHONPATH": str(Path(folder, "src")), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return "SURVIVED"
    lines = run.stdout.splitlines()
    failed = [line.split(" - ")[0].removeprefix("FAILED ") for line in lines if line.startswith("FAILED")]
    if failed:
        return f"found by {failed[0]}"
    # a crash is a find; a fixture that is missing in the copy is not
    return "ERROR IN THE TRIAL" if any(line.startswith("ERROR") for line in lines) else f"found: exit {run.returncode}"


def main() -> int:
    """Try all breaks, or those of the files named; the exit status."""
    numbers = [i for i, b in enumerate(BREAKS) if not sys.argv[1:] or b.file in sys.argv[1:]]
    missed = 0
    with ThreadPoolExecutor(2) as pool:
        for number, result in zip(numbers, pool.map(trial, numbers), strict=True):
            file, right, wrong = (text.replace("\n", " ") for text in BREAKS[number])
            missed += not result.startswith("found")
            print(f"{file}: {right}  ->  {wrong}\n    {result}", flush=True)
    print(f"{len(numbers)} breaks, {missed} not found")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
