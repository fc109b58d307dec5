"""What several test folders share, and the switch under which nothing may be skipped for being absent."""

import os
import shutil
from pathlib import Path

import pytest

SKIP_NOTHING = "BAKEOFF_SKIP_NOTHING"
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
