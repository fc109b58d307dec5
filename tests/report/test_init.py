"""The face of the package: each name is there, is known to a type checker, and is imported when it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bakeoff.report


def test_every_name_is_there():
    for name in bakeoff.report.__all__:
        assert getattr(bakeoff.report, name) is not None
    assert set(bakeoff.report.__all__) <= set(dir(bakeoff.report))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        bakeoff.report.nonsense  # noqa: B018


def test_a_type_checker_sees_the_same_names_from_the_same_modules():
    (block,) = [n for n in ast.parse(Path(bakeoff.report.__file__).read_text()).body if isinstance(n, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    seen = {node.names[0].asname: node.module for node in imports}
    assert seen == {name: f"bakeoff.report.{module}" for name, module in bakeoff.report._MODULES.items()}


def test_importing_it_imports_nothing_that_takes_long():
    code = "import sys, bakeoff.report; print(sorted({'numpy', 'scipy', 'tensorboard', 'hydra'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
