"""Every public function and class has an example in its docstring, and it runs."""

import doctest
import inspect

import pytest

from bakeoff import losses, optim, stats

PACKAGES = (losses, optim, stats)
NAMES = [
    pytest.param(package, name, id=f"{package.__name__}.{name}") for package in PACKAGES for name in package.__all__
]


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_a_public_name_has_an_example_that_runs(package, name):
    member = getattr(package, name)
    scope = vars(inspect.getmodule(member))
    [test] = doctest.DocTestFinder(recurse=False).find(member, name, globs=dict(scope))
    assert test.examples, f"{package.__name__}.{name} has no example"
    report: list[str] = []
    result = doctest.DocTestRunner().run(test, out=report.append)
    assert result.failed == 0, "".join(report)
