"""What the package offers, and what importing it costs."""

import subprocess
import sys
from pathlib import Path

from bakeoff import stats


def test_importing_it_brings_no_scipy_stats():
    slow = {"scipy.stats", "scipy.optimize", "pandas", "torch"}
    code = f"import sys, bakeoff.stats; print(sorted({slow} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_public_name_is_the_packages():
    for name in stats.__all__:
        assert getattr(stats, name).__module__.startswith("bakeoff.stats."), name


def test_no_name_hides_a_module():
    modules = {path.stem for path in Path(stats.__file__).parent.glob("*.py")}
    assert not modules & set(stats.__all__)
