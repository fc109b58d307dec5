"""Mutation tests: break the optimizers in one place after the other, and see that a test fails.

    python tests/optim/mutations.py            # all; half an hour
    python tests/optim/mutations.py adam.py    # those of one file
    python tests/optim/mutations.py --check    # only whether every mutation's text is in the source; a second

Each mutation is made in a copy of the package. One that no test notices is printed as SURVIVED and makes the exit
status 1, and so does one whose text is not in the source.
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
# The quick ones first: the first failure ends a run.
TESTS = [
    "test_sgd.py",
    "test_rmsprop.py",
    "test_adam.py",
    "test_contract.py",
    "test_state.py",
    "test_interface.py",
    "test_dispatch.py",
    "test_verify.py",
    "test_tensors.py",
    "test_optimizer.py",
    "test_new_optimizer.py",
    "test_cuda.py",
    "test_replicas.py",
    "test_mixed_precision.py",
    "test_where_torch_is_wrong.py",
    "test_checkpoints_with_torch.py",
    "test_triton.py",
    "test_drop_in.py",
    "test_optim_db.py",
    "test_properties.py",
    "test_native.py",
    "test_compiled_and_sharded.py",
]


class Mutation(NamedTuple):
    """One wrong line."""

    file: str
    right: str
    wrong: str


MUTATIONS = [
    # the definitions
    Mutation("sgd.py", "g = -grad if maximize else grad", "g = grad"),
    Mutation("sgd.py", "g = g + weight_decay * param", "g = g - weight_decay * param"),
    Mutation("sgd.py", "(1 - dampening) * g", "g"),
    Mutation("sgd.py", "g + momentum * b if nesterov else b", "b"),
    Mutation("sgd.py", "b = g if b is None else", "b = (1 - dampening) * g if b is None else"),
    Mutation("sgd.py", "return param - lr * d, b", "return param + lr * d, b"),
    Mutation("rmsprop.py", "alpha * v + (1 - alpha) * g**2", "(1 - alpha) * v + alpha * g**2"),
    Mutation("rmsprop.py", "g / (variance.sqrt() + eps)", "g / (variance + eps).sqrt()"),
    Mutation("rmsprop.py", "variance = (v - m**2).clamp(min=0)", "variance = v"),
    Mutation("rmsprop.py", "(v - m**2).clamp(min=0)", "v - m**2"),
    Mutation("rmsprop.py", "m = m.lerp(g, 1 - alpha)", "m = m.lerp(g, alpha)"),
    Mutation("rmsprop.py", "step = b = momentum * b + step", "step = b = momentum * b + lr * step"),
    Mutation("rmsprop.py", "g = g + weight_decay * param", "g = g"),
    Mutation("rmsprop.py", "g = -grad if maximize else grad", "g = grad"),
    Mutation("adam.py", "m = beta1 * m + (1 - beta1) * g", "m = beta2 * m + (1 - beta1) * g"),
    Mutation("adam.py", "v = v_hat = beta2 * v + (1 - beta2) * g**2", "v = v_hat = beta1 * v + (1 - beta2) * g**2"),
    Mutation("adam.py", "m_hat = m / (1 - beta1**t)", "m_hat = m"),
    Mutation("adam.py", "v_hat = v_hat / (1 - beta2**t)", "v_hat = v_hat"),
    Mutation("adam.py", "m_hat / (v_hat.sqrt() + eps)", "m_hat / (v_hat + eps).sqrt()"),
    Mutation("adam.py", "v_max = v_hat = v_max.maximum(v)", "v_max = v_max.maximum(v)"),
    Mutation("adam.py", "param = param * (1 - lr * weight_decay)", "param = param * (1 - weight_decay)"),
    Mutation("adam.py", "if decoupled_weight_decay:\n", "if not decoupled_weight_decay:\n"),
    Mutation("adam.py", "g = -grad if maximize else grad", "g = grad"),
    Mutation("adam.py", 'group["decoupled_weight_decay"] = True', "pass"),
    # operations on lists
    Mutation("_foreach.py", 'alpha=1 - group["dampening"]', "alpha=1"),
    Mutation("_foreach.py", "torch._foreach_copy_(buffers, grads)", "pass"),
    Mutation("_foreach.py", 'if group["nesterov"] else buffers', "if False else buffers"),
    Mutation("_foreach.py", "torch._foreach_lerp_(m, grads, 1 - alpha)", "torch._foreach_lerp_(m, grads, alpha)"),
    Mutation("_foreach.py", "torch._foreach_clamp_min_(root, 0)", "pass"),
    Mutation("_foreach.py", 'torch._foreach_add_(root, group["eps"])\n    if momentum', "if momentum"),
    Mutation("_foreach.py", "sizes = [lr / (1 - beta1**t) for t in counts]", "sizes = [lr for t in counts]"),
    Mutation("_foreach.py", "(1 - beta2**t) ** 0.5 for t in counts", "(1 - beta2**t) for t in counts"),
    Mutation("_foreach.py", 'decays=not group["decoupled_weight_decay"]', "decays=True"),
    Mutation("_foreach.py", "torch._foreach_maximum_(v_max, v)", "pass"),
    # fused kernels
    Mutation("_fused.py", "is_first_step=tensors.first", "is_first_step=False"),
    Mutation("_fused.py", "[copies[count] for count in counts]", "[copies[counts[0]] for count in counts]"),
    # RMSprop's kernel in C
    Mutation("_native.py", "grad.div_(grad_scale)", "grad.mul_(grad_scale)"),
    Mutation("_native.py", 'averages.pop("momentum_buffer", None)', "pass"),
    Mutation("_native.py", "increment_version([*tensors.params", "increment_version([*tensors.grads"),
    Mutation("_native.py", "status.st_uid == os.getuid() and not status.st_mode & 0o022", "True"),
    # dispatch and verification
    Mutation("_dispatch.py", "== sizes for of_kind in lists[1:]", "== sizes for of_kind in lists[:1]"),
    Mutation("_dispatch.py", "tensor.stride() == param.stride() for tensor in of_param", "True for tensor in of_param"),
    Mutation("_dispatch.py", "if size != 1 and stride != elements:", "if False:"),
    Mutation("_verify.py", "if not is_same:\n", "is_same = True\n    if not is_same:\n"),
    Mutation("_dispatch.py", "if algorithm._sparse_error and", "if False and"),
    Mutation("_dispatch.py", 'len(set(map(attrgetter("dtype"), params))) == 1', "True"),
    Mutation("_dispatch.py", "(t.dtype, t.device) == (params[0].dtype, params[0].device) for t", "True for t"),
    Mutation("_dispatch.py", "if replicas is not None and param.stride(0) * replicas != param.numel():", "if False:"),
    Mutation("_dispatch.py", 'if group["differentiable"] or not', "if not"),
    Mutation("_dispatch.py", "param.dtype in (torch.float32, torch.float64)", "True"),
    Mutation("_dispatch.py", "if asked is not None and", "if False and"),
    Mutation("_verify.py", "if message not in _warned:", "if True:"),
    # state, groups, mixed precision
    Mutation("_state.py", "return state.clone()", "return state"),
    Mutation("_optimizer.py", 'if self.defaults["fused"]:', "if True:"),
    Mutation("_optimizer.py", 'if self.defaults["fused"]:', "if False:"),
    Mutation(
        "_optimizer.py", "if found_inf.item():\n                return loss", "if False:\n                return loss"
    ),
    Mutation("_optimizer.py", "del values[name]", "pass"),
    Mutation("_optimizer.py", "group.setdefault(name, self._default(name, otherwise=self.defaults[name]))", "pass"),
    Mutation("_optimizer.py", "return _FLAGS.get(name, otherwise)", "return otherwise"),
    Mutation("_optimizer.py", "if type(value) in (float, int, tuple)", "if True"),
    Mutation("_optimizer.py", "old = {} if tensors.first else", "old ="),
    Mutation("_optimizer.py", 'values["step"] = new_count(values["step"], param, group)', "pass"),
    Mutation("_step.py", "grad.div_(grad_scale)", "pass"),
    Mutation("_optimizer.py", "self._check({**self.defaults, **param_group})", "pass"),
    Mutation("_step.py", 'group = {**group, "lr": group["lr"].squeeze()}', "pass"),
    Mutation("_optimizer.py", "with torch.enable_grad():", "with torch.no_grad():"),
    Mutation(
        "_tensors.py",
        'return tensor.clone() if group["differentiable"] else in_single(tensor)',
        "return in_single(tensor)",
    ),
    Mutation("_tensors.py", "grad.resolve_conj() if grad.is_complex() else grad", "grad"),
    Mutation("_tensors.py", "if indices:\n            yield", "if False:\n            yield"),
    Mutation("_tensors.py", "steps=self.steps[i : i + 1])", "steps=self.steps[:1])"),
    # replicas
    Mutation("_replicas.py", 'differing["lr"] = differing["lr"] * group["lr"]', "pass"),
    Mutation("_replicas.py", "yield tensors.replica(k), own(group, k)", "yield tensors.replica(k), own(group, 0)"),
    Mutation("_replicas.py", '**({"lr": 1.0} if "lr" in numbers else {})', "**{}"),
    Mutation("_replicas.py", "param.shape[0] != replicas", "False"),
    # bounds
    Mutation("_validation.py", "if not value >= 0:", "if value < 0:"),
    Mutation("_validation.py", "if not 0 <= value < 1:", "if not 0 <= value <= 1:"),
    Mutation("_validation.py", "lr.numel() != 1", "False"),
    # Triton's kernels
    Mutation("_triton.py", "g = _divide(g, _sqrt(v) + eps)", "g = _divide(g, _sqrt(v + eps))"),
    Mutation("_triton.py", "v -= m * m", "v -= m"),
    Mutation("_triton.py", "v = tl.where(v < 0, 0.0, v)", "v = v"),
    Mutation("_triton.py", "m = _lerp(m, g, beta1, weight1)", "m = _lerp(m, g, beta2, weight2)"),
    Mutation("_triton.py", "_sqrt(_one_minus_power(log_beta2, t, TERMS))", "1.0"),
    Mutation("_triton.py", "copy = tl.where(tl.load(found_inf) == 0, copy, 2)", "copy = copy"),
    Mutation("_triton.py", "values = hyperparameters + replica * H", "values = hyperparameters"),
]


def result_of(number: int) -> str:
    """Which test found one mutation, or that none did."""
    file, right, wrong = MUTATIONS[number]
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
        tests = [f"tests/optim/{name}" for name in TESTS]
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
    return "ERROR IN THE RUN" if any(line.startswith("ERROR") for line in lines) else f"found: exit {run.returncode}"


def main() -> int:
    """Make all mutations, or those of the files named; the exit status."""
    arguments = sys.argv[1:]
    if arguments == ["--check"]:
        return check()
    numbers = [i for i, mutation in enumerate(MUTATIONS) if not arguments or mutation.file in arguments]
    missed = 0
    with ThreadPoolExecutor(2) as pool:
        for number, result in zip(numbers, pool.map(result_of, numbers), strict=True):
            file, right, wrong = (text.replace("\n", " ") for text in MUTATIONS[number])
            missed += not result.startswith("found")
            print(f"{file}: {right}  ->  {wrong}\n    {result}", flush=True)
    print(f"{len(numbers)} mutations, {missed} not found")
    return int(missed > 0)


def check() -> int:
    """Whether a mutation's text is missing from the source, or a test file from `TESTS`; the exit status."""
    folder = ROOT / "src" / "bakeoff" / "optim"
    stale = [m for m in MUTATIONS if m.right not in (folder / m.file).read_text(encoding="utf-8")]
    absent = [name for name in TESTS if not (ROOT / "tests" / "optim" / name).exists()]
    for mutation in stale:
        print(f"NOT IN THE SOURCE: {mutation.file}: {mutation.right}")
    for name in absent:
        print(f"NO SUCH TEST FILE: {name}")
    print(f"{len(MUTATIONS)} mutations, {len(stale)} not in the source")
    return int(bool(stale or absent))


if __name__ == "__main__":
    sys.exit(main())
