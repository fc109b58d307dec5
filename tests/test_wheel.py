"""The built wheel, installed beside nothing of the checkout, from an empty folder."""

import hashlib
import json
import os
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment that has the wheel, and this environment's other packages but not its editable install."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    (packages,) = (folder / "env" / "lib").glob("python*/site-packages")
    # A folder named in a .pth file is searched, but the .pth files in it (the editable install) are not read.
    (packages / "beside.pth").write_text("\n".join(site.getsitepackages()))
    target = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*target, str(wheel)], check=True, capture_output=True)
    return python.parent


def clean() -> dict[str, str]:
    """The environment, without what would bring the checkout in."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "HYDRA"))}


def run(installed, folder, *arguments):
    command = [str(installed / "bakeoff"), *arguments]
    return subprocess.run(command, cwd=folder, env=clean(), capture_output=True, text=True, check=False, timeout=300)


def test_the_wheel_sweeps_digits_and_takes_in_a_users_own_parts(installed, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Wide(torch.nn.Sequential):\n"
        "    def __init__(self, *, n_in, n_out):\n"
        "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, 99), torch.nn.Linear(99, n_out))\n"
        "def exponential(output, target):\n"
        "    return torch.exp(-output.gather(1, target[:, None]).squeeze(1))\n"
    )
    for group, text in {"model": "_target_: mine.Wide", "loss": "_target_: mine.exponential\n_partial_: true",
                        "optimizer": "_target_: torch.optim.NAdam\nlr: 0.002"}.items():  # fmt: skip
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / "mine.yaml").write_text(text)
    fast = ("budget.steps=10", "trainer.threads=1", "trainer=cpu")
    swept = run(installed, tmp_path, "-m", "model=mlp,mine", "loss=mse,mine", "optimizer=adam,mine", *fast)
    assert swept.returncode == 0, swept.stderr
    assert "runs: 8: 8 completed" in swept.stdout
    records = [json.loads(p.read_text()) for p in (tmp_path / "outputs" / "main").rglob("outcome.json")]
    assert len(records) == 8


def test_the_checkout_is_not_what_was_tested(installed, tmp_path):
    code = "import bakeoff, bakeoff.launch.search_path as s; print(bakeoff.__file__); print(s.package_conf())"
    command = [str(installed / "python"), "-c", code]
    ran = subprocess.run(command, cwd=tmp_path, env=clean(), capture_output=True, text=True, check=True)
    shown = ran.stdout.splitlines()
    assert all(str(CHECKOUT) not in line for line in shown)
    assert shown[1].endswith("site-packages/bakeoff/conf")


def test_it_says_that_its_annotations_may_be_relied_on(installed):
    packages = (installed.parent / "lib").glob("python*/site-packages")
    assert [(folder / "bakeoff" / "py.typed").read_text() for folder in packages] == [""]


def test_help_is_there(installed, tmp_path):
    shown = run(installed, tmp_path, "--help")
    assert shown.returncode == 0, shown.stderr
    assert "optimizer: adam, adamw" in shown.stdout


def test_the_wheel_brings_the_tab_and_its_drawing_library(installed, tmp_path):
    code = (
        "from importlib.metadata import entry_points\n"
        "from tensorboard.plugins.base_plugin import TBContext\n"
        "(entry,) = (e for e in entry_points(group='tensorboard_plugins') if e.name == 'bakeoff')\n"
        "print(*sorted(entry.load()(TBContext(logdir='.')).get_plugin_apps()), sep='\\n')\n"
    )
    command = [str(installed / "python"), "-c", code]
    found = subprocess.run(command, cwd=tmp_path, env=clean(), capture_output=True, text=True)
    routes = set(found.stdout.split())
    static = CHECKOUT / "src" / "bakeoff" / "tab" / "static"
    files = {f"/{path.relative_to(static).as_posix()}" for path in static.rglob("*") if path.is_file()}
    assert {"/index.js", "/style.css", "/vendor/d3.min.js", "/vendor/plot.umd.min.js"} <= files <= routes, found.stderr


def test_the_drawing_library_is_the_one_that_its_table_names():
    vendor = CHECKOUT / "src" / "bakeoff" / "tab" / "static" / "vendor"
    table = (vendor / "README.md").read_text()
    scripts = list(vendor.glob("*.js"))
    assert len(scripts) == 2
    for script in scripts:
        assert hashlib.sha256(script.read_bytes()).hexdigest() in table
