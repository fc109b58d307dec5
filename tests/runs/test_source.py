"""What a file says, whatever it looks like, and what it imports."""

import textwrap

import pytest

from bakeoff.runs.source import parse_source

SOURCE = '''"""A net."""

import torch
from helper import width  # the first one


class Net(torch.nn.Linear):
    """Linear."""

    SCALE = 1.0

    def __init__(self, n_in, n_out, bias=True):
        """Makes one."""
        super().__init__(n_in, n_out)
        self.names = ["a", "b"]
        self.big = -1 if n_in > 3 else None

    async def wait(self, *, x: int = 3):
        return f"{x:>3}", {**{}, 1: 2}, b"x", (yield)
'''


def digest(text, package=""):
    return parse_source(text.encode(), package).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # the first one", ""),
        ("  # the first one", "  # another"),
        ("\n\nclass", "\n\n\n\n# a net\n\nclass"),
        ('"""A net."""', '"""Another net."""'),
        ('        """Makes one."""\n', ""),
        ('["a", "b"]', "['a',\n            'b',\n        ]"),
        ("n_in, n_out, bias=True", "n_in,n_out , bias = True"),
        ("-1 if n_in > 3 else None", "((-1) if (n_in > 3) else None)"),
        ("    ", "  "),
        ("\n", "\r\n"),
        ("SCALE = 1.0", "SCALE = 1.00"),
    ],
)
def test_looks_change_nothing(old, new):
    assert old in SOURCE
    assert digest(SOURCE.replace(old, new)) == digest(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.0", "1"),
        ("1.0", "True"),
        ("1.0", "-1.0"),
        ("1.0", "'1.0'"),
        ("bias=True", "bias=1"),
        ("bias=True", "bias=None"),
        ("bias=True", "bias"),
        ('"b"]', '"B"]'),
        ('"b"]', 'b"b"]'),
        ('["a", "b"]', '("a", "b")'),
        ('["a", "b"]', '["a" "b"]'),
        ("n_in > 3", "n_in >= 3"),
        ("else None", "else 0"),
        ("*, x", "x"),
        (":>3", ":>4"),
        ("async def", "def"),
        ("{**{}, 1: 2}", "{1: 2}"),
        ("(yield)", "(yield None)"),
        ("width", "height"),
        ("from helper", "from .helper"),
        ("torch.nn.Linear", "torch.nn.LazyLinear"),
        ("n_in, n_out)", "n_out, n_in)"),
        ("        self.names", "        pass\n        self.names"),
    ],
)
def test_behaviour_changes_it(old, new):
    assert old in SOURCE
    assert digest(SOURCE.replace(old, new)) != digest(SOURCE)


def test_docstrings_count_where_they_are_read():
    reads = SOURCE + "print(Net.__doc__)\n"
    assert digest(reads.replace("Linear.", "Quadratic.")) != digest(reads)


def test_a_text_that_is_no_docstring_counts():
    assert digest("def f():\n    return 'a'\n") != digest("def f():\n    return 'b'\n")
    assert digest("x = 1\n'''one'''\n") != digest("x = 1\n'''two'''\n")


def test_what_cannot_be_parsed_is_known_by_its_bytes():
    for one, other in ((b"def (", b"def  ("), (b"\0", b"\0\0"), (b"\x7fELF1", b"\x7fELF2")):
        assert parse_source(one, "") == parse_source(one, "")
        assert parse_source(one, "").digest != parse_source(other, "").digest
    compiled = [parse_source(text, "", is_python=False).digest for text in (b"a = 1", b"a  = 1")]
    assert len(set(compiled)) == 2
    deep = b"+".join([b"x"] * 20000)
    assert parse_source(deep, "").digest == parse_source(deep, "").digest


def test_encodings():
    latin = "# -*- coding: latin-1 -*-\nx = 'é'\n"
    assert parse_source(latin.encode("latin-1"), "").digest == digest("x = 'é'\n") == digest("\ufeffx = 'é'\n")
    assert digest("x = '\\ud800'") != digest("x = '\\ud801'")


@pytest.mark.parametrize(
    ("text", "package", "imports"),
    [
        ("import a, b.c as d", "", {"a", "b.c"}),
        ("from a import b as c, d", "", {"a", "a.b", "a.d"}),
        ("from a import *", "", {"a"}),
        ("from . import b", "p.q", {"p.q", "p.q.b"}),
        ("from .a import b", "p.q", {"p.q.a", "p.q.a.b"}),
        ("from ..a import b", "p.q", {"p.a", "p.a.b"}),
        ("from ...a import b", "p.q", set()),
        (
            "def f():\n    try:\n        import a\n    except ImportError:\n        from b import c",
            "",
            {"a", "b", "b.c"},
        ),
        ("import importlib\nx = importlib.import_module('a.b')", "", {"importlib", "a.b"}),
        ("from importlib import import_module as m\nm('a')", "", {"importlib", "importlib.import_module"}),
        ("__import__('a')\nimport_module('.b', __package__)", "p", {"a", "p.b"}),
        ("import_module(name)\nimport_module()", "", set()),
        ("x = 'import a'", "", set()),
    ],
)
def test_imports(text, package, imports):
    assert set(parse_source(textwrap.dedent(text).encode(), package).imports) == imports
