"""What several test folders share, and the switch under which nothing may be skipped for being absent."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SKIP_NOTHING = "BAKEOFF_SKIP_NOTHING"
SCREENSHOT = Path(__file__).resolve().parents[1] / "docs" / "screenshot.py"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def absent(what: str, remedy: str) -> None:
    """Skips the test for something that this machine lacks; a failure where `BAKEOFF_SKIP_NOTHING` is set."""
    message = f"{what} is missing: {remedy}"
    if os.environ.get(SKIP_NOTHING):
        pytest.fail(f"{message} ({SKIP_NOTHING} is set)")
    pytest.skip(message)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not (SHARED_DATA / "MNIST" / "raw").is_dir():
        absent("../shared/data", "put MNIST/raw and FashionMNIST/raw there, as torchvision lays them out")
    return SHARED_DATA


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        absent("Chromium", "install it with the system's packages (Debian: apt-get install chromium)")
    return str(found)


@pytest.fixture(scope="session")
def screenshot():
    """The module `docs/screenshot.py`, which starts TensorBoard and a browser."""
    spec = importlib.util.spec_from_file_location("screenshot", SCREENSHOT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def c_compiler() -> str:
    """The compiler of RMSprop's kernel, and of torch.compile's."""
    found = shutil.which(os.environ.get("CC", "cc"))
    if found is None or shutil.which("g++") is None:
        absent("A C compiler", "install gcc and g++ with the system's packages")
    return str(found)


@pytest.fixture(scope="session")
def small_sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real sweep: 2 optimizers x 2 losses x 2 batch sizes x 2 seeds, 60 steps each; read it only."""
    root = tmp_path_factory.mktemp("outputs")
    choices = ["optimizer=sgd,adam", "loss=cross_entropy,mse", "batch_size=16,full", "seed=0,1"]
    # a validation every 10 steps: between two of them a whole window of training losses, and so a point of `lr`
    settings = ["budget.steps=60", "budget.validations=6", "trainer.accelerator=cpu", "trainer.threads=1"]
    place = [f"root={root}", "sweep=small"]
    subprocess.run([sys.executable, "-m", "bakeoff", "-m", *choices, *settings, *place], cwd=root, check=True)
    return root / "small"


class SmallDisk:
    """A file system in memory, at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mount(self, options: str) -> None:
        """`size=1m`, or `remount,size=2m`."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.path], check=True, capture_output=True)

    def make_read_only(self) -> None:
        """For whatever is opened from now on; the kernel refuses a file system on which something is written."""
        aside = self.path.with_name("aside")  # where nobody opens a file between the two steps
        aside.mkdir()
        subprocess.run(["mount", "--bind", self.path, aside], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", aside], check=True)
        subprocess.run(["mount", "--bind", aside, self.path], check=True)
        subprocess.run(["umount", aside], check=True)

    def unmount(self) -> None:
        """Takes the last mount back."""
        subprocess.run(["umount", "--lazy", self.path], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk to fill, of the size that the test gives it."""
    disk = SmallDisk(tmp_path / "disk")
    disk.path.mkdir()
    try:
        disk.mount("size=1m")
    except (OSError, subprocess.CalledProcessError):
        absent("The right to mount a small disk", "run these tests as root")
    disk.unmount()
    yield disk
    while os.path.ismount(disk.path):
        disk.unmount()
