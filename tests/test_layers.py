"""Arrows between the parts of the package go down only; the imports are read, not run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "bakeoff"

# Part -> the parts below it that it may import.
BELOW = {
    "errors": set(),
    "pairs": set(),
    "optim": set(),
    "losses": set(),
    "models": set(),
    "schedules": set(),
    "stats": set(),
    "runs": {"errors"},
    "data": {"errors", "pairs"},
    "tensorboard": {"runs"},
    "module": {"pairs", "runs"},
    "report": {"errors", "runs", "stats", "tensorboard"},
    "train": {"errors", "pairs", "runs", "data", "tensorboard", "module"},
    "overview": {"errors", "runs", "report", "tensorboard"},
    "tab": {"errors", "report"},
    "workers": {"errors", "runs", "train"},
    "launch": {"errors", "runs", "train", "workers", "report", "overview"},
    "app": {"errors", "launch"},
    "__main__": {"app"},
    "__init__": set(),
}
# Part -> packages that it may import beside Python's own.
OUTSIDE = {
    "pairs": {"torch"},
    "optim": {"torch", "triton"},  # triton within the kernels alone, which are imported when there is a GPU
    "losses": {"torch"},
    "models": {"torch", "torchvision"},
    "schedules": set(),
    "stats": {"numpy", "scipy"},
    "runs": {"hydra", "psutil"},
    "report": {"numpy", "tensorboard", "matplotlib", "hydra", "yaml", "tabulate"},
    "overview": {"numpy", "tensorboard"},
    "tab": {"tensorboard", "werkzeug"},
    "data": {"torch", "torchvision", "sklearn", "numpy", "lightning"},
    "workers": {"hydra", "omegaconf", "joblib", "pynvml", "ray", "submitit"},  # the last two where they are installed
    "module": {"torch", "torchmetrics", "lightning", "numpy"},
    "tensorboard": {"tensorboard", "google_crc32c", "numpy", "PIL"},
}
FILES = sorted(SOURCE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def test_every_part_has_its_place():
    assert {part(path) for path in FILES} == set(BELOW)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_arrows_go_down_only(path):
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("bakeoff.")}
    assert ours - {part(path)} <= BELOW[part(path)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_part_imports_only_what_it_is_about(path):
    if part(path) in OUTSIDE:
        others = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {"bakeoff"}
        assert others <= OUTSIDE[part(path)]


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("bakeoff.optim", ("lightning", "hydra", "torchvision", "bakeoff.data", "bakeoff.train")),
        ("bakeoff.losses", ("lightning", "hydra", "torchvision", "bakeoff.data", "bakeoff.train")),
        ("bakeoff.report.leaderboard", ("torch", "lightning")),
        ("bakeoff.runs", ("torch", "lightning")),
        ("bakeoff.tab.plugin", ("torch", "lightning")),
        ("hydra_plugins.bakeoff_launcher", ("torch", "lightning", "ray", "submitit")),
        ("bakeoff.workers", ("torch", "lightning", "ray", "submitit")),
        ("bakeoff.workers.local", ("torch", "lightning", "ray", "submitit")),
        ("bakeoff.launch.launcher", ("torch", "lightning", "ray", "submitit", "matplotlib")),
        ("bakeoff.launch.callbacks", ("torch", "lightning")),
        ("bakeoff.app", ("torch", "lightning")),
    ],
)
def test_what_an_import_brings_along(module, absent):
    code = f"import sys, {module}; print(sorted(set({absent!r}) & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
