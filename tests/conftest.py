"""What several test folders share, and the switch under which nothing may be skipped for being absent."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from _pytest.doctest import DoctestModule
from filelock import FileLock

SKIP_NOTHING = "BAKEOFF_SKIP_NOTHING"
SCREENSHOT = Path(__file__).resolve().parents[1] / "docs" / "screenshot.py"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def absent(what: str, remedy: str) -> None:
    """Skips the test for something that this machine lacks; a failure where `BAKEOFF_SKIP_NOTHING` is set."""
    message = f"{what} is missing: {remedy}"
    if os.environ.get(SKIP_NOTHING):
        pytest.fail(f"{message} ({SKIP_NOTHING} is set)")
    pytest.skip(message)


def pytest_configure() -> None:
    """Ctrl-C reaches the commands that tests start. One thread a process where several test: more take longer."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script; commands would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported, and by commands that tests start


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """`--doctest-modules` is for `src` alone: files beside the tests are not imported to look for examples."""
    collected = yield
    return [collector for collector in collected if not isinstance(collector, DoctestModule)]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each test goes to the next free process, but a file whose tests share something goes to one process as a whole.

    What they share is a fixture of `scope="module"`: a browser, a server, an installed wheel.
    """
    from xdist.scheduler import LoadScopeScheduling

    @cache
    def shares(file: str) -> bool:
        path = config.rootpath / file
        texts = [other.read_text("utf-8") for other in (path, path.with_name("conftest.py")) if other.exists()]
        return any('scope="module"' in text for text in texts)

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return file if shares(file) else nodeid

    return Scheduling(config, log) if config.getvalue("dist") == "load" else None


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """`made_once("sweep", make)` is a folder that `make(folder)` has filled, once for all processes that test."""
    common = tmp_path_factory.getbasetemp()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script; commands would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent  # each process has its own folder in there

    def made(name: str, make: Callable[[Path], None]) -> Path:
        record = common / f"{name}.made"
        with FileLock(common / f"{name}.lock"):
            if not record.exists():
                folder = tmp_path_factory.mktemp(name)
                make(folder)
                record.write_text(str(folder))
        return Path(record.read_text())

    return made


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
def small_sweep(made_once) -> Path:
    """The folder of a real sweep: 2 optimizers x 2 losses x 2 batch sizes x 2 seeds, 60 steps each; read it only."""
    return made_once("small_sweep", train_small_sweep) / "small"


def train_small_sweep(root: Path) -> None:
    choices = ["optimizer=sgd,adam", "loss=cross_entropy,mse", "batch_size=16,full", "seed=0,1"]
    # a validation every 10 steps: between two of them a whole window of training losses, and so a point of `lr`
    settings = ["budget.steps=60", "budget.validations=6", "trainer.accelerator=cpu", "trainer.threads=1"]
    place = [f"root={root}", "sweep=small"]
    subprocess.run([sys.executable, "-m", "bakeoff", "-m", *choices, *settings, *place], cwd=root, check=True)


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
